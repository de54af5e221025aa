"""An open page shows the present state, whoever changed it, and is never left for that."""

import asyncio
import os
import re
import time

from playwright.async_api import expect

from browser.live import set_note
from cli.conftest import PROGRAM
from movements import make_row

COUNT = """() => {
  const count = () => document.querySelectorAll("tr[data-row]").length;
  window.most = count();
  new MutationObserver(() => { window.most = Math.max(window.most, count()); })
    .observe(document.body, { childList: true, subtree: true });
}"""


async def say_nothing(route):
    """Answer for sums, which would bring rows of another version again by themselves."""
    await route.fulfill(status=204)


async def test_what_somebody_else_commits_appears(listed, psql, books, rows):
    await set_note(psql, books, rows.ids[38], "from elsewhere")
    row = listed.locator(f"#row-{rows.ids[38]}")
    await expect(row.locator(".note")).to_have_text("from elsewhere")
    await expect(row).to_have_attribute("data-fresh", "changed")
    await expect(listed.locator("[data-fresh]")).to_have_count(1)
    new = await make_row(psql, books, rows.wallet, 50)
    await expect(listed.locator("tr[data-row]").first).to_have_attribute("id", f"row-{new}")
    await expect(listed.locator(f"#row-{new}")).to_have_attribute("data-fresh", "new")
    await expect(listed.locator(".summary__count")).to_have_text("41 transactions")
    await psql.execute(
        "DELETE FROM transactions WHERE ledger_id = $1 AND id = $2", books.ledger_id, new
    )
    await expect(listed.locator(f"#row-{new}")).to_have_count(0)
    await expect(listed.locator(".summary__count")).to_have_text("40 transactions")
    assert await listed.evaluate("window.unbroken")


async def test_a_person_in_psql(listed, site, books, rows):
    statement = (
        f"UPDATE transactions SET note = 'typed in psql'"
        f" WHERE ledger_id = {books.ledger_id} AND id = {rows.ids[39]}"
    )
    psql = await asyncio.create_subprocess_exec(
        *(PROGRAM, "psql", "-Xc", statement),
        env=os.environ | {"FRESHLEDGER_DATABASE_URL": site.database},
    )
    assert await psql.wait() == 0
    await expect(listed.locator(f"#row-{rows.ids[39]} .note")).to_have_text("typed in psql")
    assert await listed.evaluate("window.unbroken")


async def test_the_indicator_tells_version_and_time(listed, psql, books, rows):
    await set_note(psql, books, rows.ids[38], "seen")
    version = await psql.fetchval("SELECT version FROM heads WHERE ledger_id = $1", books.ledger_id)
    text = listed.locator(".live__text")
    await expect(text).to_have_text(re.compile(rf"^v{version} · [\d,]+ ms$"))
    await listed.locator("#live summary").focus()
    await listed.keyboard.press("Enter")
    await expect(listed.locator(".live__panel")).to_be_visible()
    await expect(listed.locator(".live__panel")).to_contain_text("Live: this page follows")
    await expect(listed.locator(".live__lag")).to_contain_text("after its commit")
    await expect(listed.locator("#live summary")).to_have_attribute("title", re.compile("UTC"))


async def test_a_filter_lets_in_only_what_matches(listed, psql, books, rows):
    await listed.goto(f"{books.path}/transactions?type=send")
    await expect(listed.locator(".summary__count")).to_have_text("20 transactions")
    await expect(listed.locator("#live[data-state=live]")).to_be_attached()
    received = await make_row(psql, books, rows.wallet, 50)
    sent = await make_row(psql, books, rows.wallet, 51)
    await expect(listed.locator(f"#row-{sent}")).to_be_visible()
    await expect(listed.locator(f"#row-{received}")).to_have_count(0)
    await expect(listed.locator(".summary__count")).to_have_text("21 transactions")


async def test_the_page_that_htmx_fetched_is_followed(listed, psql, books, rows):
    await listed.locator("#filter-type summary").click()
    await listed.locator("#filter-type").get_by_label("Send", exact=True).check()
    await expect(listed.locator(".summary__count")).to_have_text("20 transactions")
    received = await make_row(psql, books, rows.wallet, 50)
    sent = await make_row(psql, books, rows.wallet, 51)
    await expect(listed.locator(f"#row-{sent}")).to_be_visible()
    await expect(listed.locator(f"#row-{received}")).to_have_count(0)
    await expect(listed.locator("#filter-type .popover__panel")).to_be_visible()
    assert await listed.evaluate("window.unbroken")


async def test_a_part_that_htmx_fetched_too_old_is_fetched_again(listed, psql, books, rows):
    """The list's answer is held up on its way while the ledger goes on."""

    async def hold(route):
        answer = await route.fetch()
        await set_note(psql, books, rows.ids[38], "later")
        await expect(listed.locator(f"#row-{rows.ids[38]} .note")).to_have_text("later")
        await route.fulfill(response=answer)

    await listed.route(re.compile(r"/transactions\?type=receive"), hold, times=1)
    await listed.route(re.compile(r"/transactions/totals"), say_nothing)
    await listed.locator("#filter-type summary").click()
    await listed.locator("#filter-type").get_by_label("Receive", exact=True).check()
    await expect(listed.locator("tr[data-row]")).to_have_count(20)
    await expect(listed.locator(f"#row-{rows.ids[38]} .note")).to_have_text("later")


async def test_an_answer_that_is_too_old_is_asked_for_again(listed, psql, books, rows):
    """What comes from a moment before the event is not taken for the present."""
    answers = []

    async def hold(route):
        answers.append(await route.fetch())
        await set_note(psql, books, rows.ids[38], "second")
        version = await psql.fetchval(
            "SELECT version FROM heads WHERE ledger_id = $1", books.ledger_id
        )
        await listed.wait_for_function("version => follow.now.wanted === version", arg=version)
        await route.fulfill(response=answers[0])

    await listed.route(re.compile(r"/transactions"), hold, times=1)
    await listed.route(re.compile(r"/transactions/totals"), say_nothing)
    await set_note(psql, books, rows.ids[38], "first")
    note = listed.locator(f"#row-{rows.ids[38]} .note")
    await expect(note).to_have_text("second", timeout=15_000)
    assert len(answers) == 1


async def test_a_busy_server_is_asked_again_when_it_says(listed, psql, books, rows):
    """Within half and one and a half times what it says: not all pages at the same moment."""
    asked = []

    async def refuse(route):
        asked.append(time.monotonic())
        if len(asked) == 1:
            await route.fulfill(status=503, headers={"Retry-After": "4"}, body="busy")
        else:
            await route.continue_()

    await listed.route(re.compile(r"/transactions"), refuse, times=2)
    await listed.route(re.compile(r"/transactions/totals"), say_nothing)
    await set_note(psql, books, rows.ids[38], "seen later")
    note = listed.locator(f"#row-{rows.ids[38]} .note")
    await expect(note).to_have_text("seen later", timeout=20_000)
    assert asked[1] - asked[0] > 2


async def test_an_answer_for_the_address_before_is_thrown_away(listed, psql, books, rows):
    """A filter is set while the page without it is on its way: what comes late is not shown."""
    held = []

    async def hold(route):
        held.append((route, await route.fetch()))

    await listed.route(re.compile(r"/transactions(\?totals=1)?$"), hold, times=1)
    await set_note(psql, books, rows.ids[38], "seen")
    await listed.locator("#filter-type summary").click()
    await listed.locator("#filter-type").get_by_label("Send", exact=True).check()
    await expect(listed.locator("tr[data-row]")).to_have_count(20)
    await listed.evaluate(COUNT)
    (route, answer) = held[0]
    async with listed.expect_event("requestfinished"):
        await route.fulfill(response=answer)
    await set_note(psql, books, rows.ids[39], "and then")
    await expect(listed.locator(f"#row-{rows.ids[39]} .note")).to_have_text("and then")
    await expect(listed.locator("tr[data-row]")).to_have_count(20)
    assert await listed.evaluate("window.most") == 20


async def test_what_htmx_changed_goes_back_to_what_it_was(listed, psql, books, rows):
    row = listed.locator(f"#row-{rows.ids[38]}")
    await set_note(psql, books, rows.ids[38], "seen")
    await expect(row.locator(".note")).to_have_text("seen")
    await row.hover()
    await row.locator("a[data-edit=label]").click()
    await listed.keyboard.type("Short")
    await listed.keyboard.press("Enter")
    await expect(row.locator(".label__name")).to_have_text("Short")
    await psql.execute("DELETE FROM transaction_labels WHERE ledger_id = $1", books.ledger_id)
    await expect(row.locator(".label__name")).to_have_count(0)


async def test_two_tabs_follow_each_other(listed, context, books, rows):
    other = await context.new_page()
    await other.goto(f"{books.path}/transactions/{rows.ids[39]}")
    await expect(other.locator("#live[data-state=live]")).to_be_attached()
    await other.get_by_label("Note").fill("from the other tab")
    await other.get_by_role("button", name="Save", exact=True).click()
    await expect(listed.locator(f"#row-{rows.ids[39]} .note")).to_have_text("from the other tab")
    row = listed.locator(f"#row-{rows.ids[39]}")
    await row.hover()
    await row.locator("a[data-edit=label]").click()
    await listed.keyboard.type("Shared")
    await listed.keyboard.press("Enter")
    await expect(other.locator(".label__name", has_text="Shared")).to_be_visible()


async def test_fetches_never_overlap(listed, psql, books, rows):
    """Of many commits at once the page shows the last, with at most one fetch under way."""
    under_way, most = 0, 0

    async def count(route):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        answer = await route.fetch()
        under_way -= 1
        await route.fulfill(response=answer)

    await listed.route(lambda url: url.endswith(("/transactions", "totals=1")), count)
    for number in range(20):
        await set_note(psql, books, rows.ids[38], f"number {number}")
    await expect(listed.locator(f"#row-{rows.ids[38]} .note")).to_have_text("number 19")
    assert most == 1
