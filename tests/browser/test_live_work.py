"""While a page is brought up to date nobody's work in it is lost or moved."""

import re

from playwright.async_api import expect

from browser.live import opened, set_note
from movements import make_row


async def test_what_is_typed_in_a_row_stays_with_its_caret(listed, psql, books, rows):
    row = listed.locator(f"#row-{rows.ids[35]}")
    await row.hover()
    await row.locator("a[data-edit=note]").click()
    await listed.keyboard.type("half typed")
    await listed.keyboard.press("ArrowLeft")
    await listed.keyboard.press("Shift+ArrowLeft")
    await make_row(psql, books, rows.wallet, 50)
    await set_note(psql, books, rows.ids[35], "theirs")
    await expect(listed.locator(".summary__count")).to_have_text("41 transactions")
    await expect(row.locator("a.note")).to_have_text("theirs")
    text = row.locator("[data-editor] textarea")
    await expect(text).to_have_value("half typed")
    await expect(text).to_be_focused()
    caret = "field => [field.selectionStart, field.selectionEnd]"
    assert await text.evaluate(caret) == [8, 9]
    await listed.keyboard.type("E")
    await expect(text).to_have_value("half typEd")
    await row.get_by_role("button", name="Save").click()
    await expect(listed.locator("#conflict-form")).to_contain_text("theirs")


async def test_a_form_keeps_its_text_and_the_version_it_was_typed_for(own_page, psql, books, rows):
    await opened(own_page, f"{books.path}/transactions/{rows.ids[5]}")
    version = own_page.locator("#edit-form [name=version]")
    before = await version.input_value()
    await own_page.get_by_label("Note").fill("mine")
    await set_note(psql, books, rows.ids[5], "theirs")
    await psql.execute("UPDATE ledgers SET name = 'Renamed' WHERE id = $1", books.ledger_id)
    await expect(own_page.locator(".switcher__name")).to_have_text("Renamed")
    await expect(own_page.get_by_label("Note")).to_have_value("mine")
    await expect(own_page.get_by_label("Note")).to_be_focused()
    await expect(version).to_have_value(before)
    await own_page.get_by_role("button", name="Save", exact=True).click()
    await expect(own_page.locator("#conflict-form")).to_contain_text("theirs")


async def test_a_form_in_which_nothing_is_typed_follows(own_page, psql, books, rows):
    await opened(own_page, f"{books.path}/transactions/{rows.ids[5]}")
    version = own_page.locator("#edit-form [name=version]")
    before = await version.input_value()
    await set_note(psql, books, rows.ids[5], "theirs")
    await expect(own_page.get_by_label("Note")).to_have_value("theirs")
    await expect(version).not_to_have_value(before)


async def test_what_is_chosen_stays_when_options_come(own_page, psql, books):
    """A select that was changed keeps its choice, although options come before it."""
    await psql.execute("INSERT INTO wallets (ledger_id, name) VALUES ($1, 'Zoo')", books.ledger_id)
    await opened(own_page, f"{books.path}/transactions/new")
    chosen = own_page.get_by_label("Wallet")
    await chosen.select_option("Zoo")
    await psql.execute(
        "WITH one AS (INSERT INTO wallets (ledger_id, name) VALUES ($1, 'Alpha'))"
        " UPDATE ledgers SET name = 'Renamed' WHERE id = $1",
        books.ledger_id,
    )
    await expect(own_page.locator(".switcher__name")).to_have_text("Renamed")
    assert await chosen.evaluate("box => box.selectedOptions[0].text") == "Zoo"


async def test_selected_rows_stay_selected(listed, psql, books, rows):
    for number in (30, 33):
        await listed.locator(f"#row-{rows.ids[number]} [data-select]").check()
    await psql.execute(
        "DELETE FROM transactions WHERE ledger_id = $1 AND id = $2", books.ledger_id, rows.ids[33]
    )
    await make_row(psql, books, rows.wallet, 50)
    await expect(listed.locator(f"#row-{rows.ids[33]}")).to_have_count(0)
    await expect(listed.locator(f"#row-{rows.ids[30]} [data-select]")).to_be_checked()
    await expect(listed.locator("[data-select]:checked")).to_have_count(1)
    await expect(listed.locator("[data-bulk-count]")).to_have_text("1")
    await expect(listed.locator("#bulk")).to_be_visible()


async def test_what_is_open_stays_open(listed, psql, books, rows):
    await listed.locator("details#sums > summary").click()
    await listed.locator("#filter-wallet summary").click()
    await set_note(psql, books, rows.ids[38], "seen")
    await expect(listed.locator(f"#row-{rows.ids[38]} .note")).to_have_text("seen")
    await expect(listed.locator("#filter-wallet .popover__panel")).to_be_visible()
    await expect(listed.locator("#sums table")).to_be_visible()
    await listed.keyboard.press("Escape")
    await listed.locator("main").click(position={"x": 5, "y": 5})
    await listed.keyboard.press("?")
    await set_note(psql, books, rows.ids[38], "seen again")
    await expect(listed.locator(f"#row-{rows.ids[38]} .note")).to_have_text("seen again")
    await expect(listed.locator("#shortcuts")).to_be_visible()


async def test_sums_that_are_open_stay_open_where_they_take_long(own_page, psql, books, rows):
    """They come with the rows then, not after them."""
    asked = []

    async def hold(route):
        asked.append(route.request.url)
        await own_page.wait_for_timeout(300)  # longer than what comes with the page anyway
        await route.continue_()

    await own_page.route("**/transactions/totals*", hold)
    await opened(own_page, f"{books.path}/transactions")
    await own_page.locator("details#sums > summary").click()
    await set_note(psql, books, rows.ids[38], "seen")
    await expect(own_page.locator(f"#row-{rows.ids[38]} .note")).to_have_text("seen")
    await expect(own_page.locator("#sums table")).to_be_visible()
    assert len(asked) == 1


async def test_rows_that_are_behind_their_sums_follow_and_lose_nothing(listed, psql, books, rows):
    row = listed.locator(f"#row-{rows.ids[35]}")
    await row.hover()
    await row.locator("a[data-edit=note]").click()
    await listed.keyboard.type("half typed")
    async with listed.expect_response(lambda answer: "totals=1" in answer.url) as answer:
        await listed.evaluate("htmx.trigger('.summaryslot', 'freshledger:behind')")
    await (await answer.value).finished()
    await set_note(psql, books, rows.ids[35], "theirs")  # what is shown later was merged later
    await expect(row.locator("a.note")).to_have_text("theirs")
    await expect(row.locator("[data-editor] textarea")).to_have_value("half typed")


async def test_a_row_with_typed_text_is_kept_when_it_goes(listed, psql, books, rows):
    row = listed.locator(f"#row-{rows.ids[35]}")
    await row.hover()
    await row.locator("a[data-edit=note]").click()
    await listed.keyboard.type("half typed")
    await psql.execute(
        "DELETE FROM transactions WHERE ledger_id = $1 AND id = $2", books.ledger_id, rows.ids[35]
    )
    await expect(row).to_have_attribute("data-gone", "")
    await expect(row.locator("textarea")).to_have_value("half typed")
    await expect(row.locator("textarea")).to_be_focused()
    await listed.keyboard.press("Escape")
    await make_row(psql, books, rows.wallet, 50)
    await expect(row).to_have_count(0)


async def test_deep_in_the_list_new_rows_are_announced(listed, psql, books, rows):
    """The row that is read stays in its place; everything else on the page follows."""
    await listed.set_viewport_size({"width": 1440, "height": 500})
    read = listed.locator(f"#row-{rows.ids[15]}")
    await read.scroll_into_view_if_needed()
    await listed.evaluate("scrollBy(0, 200)")
    before = await read.bounding_box()
    new = [await make_row(psql, books, rows.wallet, number) for number in (50, 51, 52)]
    await set_note(psql, books, rows.ids[15], "also followed")
    await expect(listed.locator("#above")).to_have_text("3 new transactions above")
    await expect(read.locator(".note")).to_have_text("also followed")
    await expect(listed.locator(".summary__count")).to_have_text("43 transactions")
    await expect(listed.locator(f"#row-{new[0]}")).to_have_count(0)
    after = await read.bounding_box()
    assert before
    assert after
    assert abs(after["y"] - before["y"]) < 2
    await listed.locator("#above").click()
    await expect(listed.locator(f"#row-{new[2]}")).to_be_in_viewport()
    await expect(listed.locator("#above")).to_be_hidden()
    assert await listed.evaluate("window.unbroken")


async def test_on_a_further_page_new_rows_are_announced_if_they_match(own_page, psql, books, rows):
    await opened(own_page, f"{books.path}/transactions?type=send&type=receive&limit=25")
    await own_page.get_by_label("Next page").click()
    await expect(own_page.locator("tr[data-row]")).to_have_count(15)
    await make_row(psql, books, rows.wallet, 50)
    await make_row(psql, books, rows.wallet, 51, type="fee")
    await expect(own_page.locator("#above")).to_have_text("1 new transaction above")
    await expect(own_page.locator("tr[data-row]")).to_have_count(15)
    await own_page.locator("#above").click()
    await expect(own_page).to_have_url(re.compile(r"limit=25$"))
    await expect(own_page.locator("tr[data-row]")).to_have_count(25)


async def test_rows_that_come_above_do_not_move_what_is_read(own_page, psql, books):
    await own_page.set_viewport_size({"width": 1440, "height": 500})
    for number in range(30):
        await psql.execute(
            "INSERT INTO labels (ledger_id, name, color) VALUES ($1, $2, 'gray')",
            books.ledger_id,
            f"label {number:02}",
        )
    await opened(own_page, f"{books.path}/labels")
    read = own_page.locator("tr", has_text="label 20")
    await read.scroll_into_view_if_needed()
    before = await read.bounding_box()
    await psql.execute(
        "INSERT INTO labels (ledger_id, name, color) VALUES ($1, 'alpha', 'red')", books.ledger_id
    )
    await expect(own_page.locator("tr", has_text="alpha")).to_have_attribute("data-fresh", "new")
    await expect(own_page.locator("[data-fresh]")).to_have_count(1)
    after = await read.bounding_box()
    assert before
    assert after
    assert abs(after["y"] - before["y"]) < 2


SPY = """() => {
  const { parse } = globalThis.merging;
  window.made = [];
  globalThis.merging.parse = (html) => {
    const made = parse(html);
    window.made.push({
      same: made.fresh.querySelectorAll("tr[data-same]").length,
      rows: made.fresh.querySelectorAll("tr[data-row]:not([data-same])").length,
      options: made.fresh.querySelectorAll("[data-option]").length,
    });
    return made;
  };
}"""


async def test_only_what_has_changed_is_made_anew(listed, psql, books, rows):
    """Rows and menus that come as they came before cost nothing, and stay what they are."""
    note = "two\nlines </tr> <!--/keep-->"
    await set_note(psql, books, rows.ids[30], note)
    await expect(listed.locator(f"#row-{rows.ids[30]} .note")).to_have_text(re.compile("two"))
    await listed.evaluate(SPY)
    await set_note(psql, books, rows.ids[35], "another")
    await expect(listed.locator(f"#row-{rows.ids[35]} .note")).to_have_text("another")
    assert {"same": 39, "rows": 1, "options": 0} in await listed.evaluate("window.made")
    assert await listed.locator(f"#row-{rows.ids[30]} .note").text_content() == note
    assert await listed.locator("#filter-type [data-option]").count() > 5
    await expect(listed.locator("tr[data-row] .m-wallet")).to_have_text(["Main"] * 40)
    await psql.execute("UPDATE wallets SET name = 'Moved' WHERE ledger_id = $1", books.ledger_id)
    await expect(listed.locator("tr[data-row] .m-wallet")).to_have_text(["Moved"] * 40)
    await expect(listed.locator("#filter-wallet [data-option]")).to_contain_text(["Moved"])


async def test_a_row_that_went_before_it_was_merged_is_made_from_its_text(
    listed, psql, books, rows
):
    await set_note(psql, books, rows.ids[30], "first")
    await expect(listed.locator(f"#row-{rows.ids[30]} .note")).to_have_text("first")
    await listed.evaluate(
        """id => {
          const { merge } = globalThis.merging;
          globalThis.merging.merge = (frame, fresh) => {
            document.getElementById(id).remove();
            return merge(frame, fresh);
          };
        }""",
        f"row-{rows.ids[30]}",
    )
    await set_note(psql, books, rows.ids[35], "second")
    await expect(listed.locator(f"#row-{rows.ids[35]} .note")).to_have_text("second")
    await expect(listed.locator(f"#row-{rows.ids[30]} .note")).to_have_text("first")
