"""A lost edit in the browser: found from a row of the live list, chosen by hand, nothing typed lost."""

from playwright.async_api import Page, expect

from movements import Rows


async def test_from_a_row_of_the_list(listed: Page, psql, rows: Rows):
    page, one = listed, rows.ids[-2]
    row = page.locator(f"#row-{one}")
    await row.focus()
    await page.keyboard.press("n")
    await page.locator("[data-editor] textarea").fill("mine")
    await psql.execute("UPDATE transactions SET note = 'theirs' WHERE id = $1", one)
    await expect(
        row.get_by_text("theirs")
    ).to_be_visible()  # the live list has it, the editor stays
    await page.locator("[data-editor]").get_by_role("button", name="Save").click()
    form = page.locator("#conflict-form")
    await expect(form.get_by_text("theirs", exact=True)).to_be_visible()
    await expect(form.get_by_text("psql user postgres")).to_be_visible()
    mine = form.get_by_role("textbox", name="Note, mine")
    await expect(mine).to_have_value("mine")
    await psql.execute("UPDATE transactions SET note = 'a third' WHERE id = $1", one)
    await expect(page.locator("#livebar")).to_be_visible()  # it waits for whoever chooses
    await mine.fill("mine, after all")
    await form.get_by_role("radio", name="Save mine").check()
    await form.get_by_role("button", name="Save my choice").click()
    await expect(form.get_by_text("a third", exact=True)).to_be_visible()
    await expect(mine).to_have_value("mine, after all")
    await form.get_by_role("radio", name="Save mine").check()
    await form.get_by_role("button", name="Save my choice").click()
    await expect(page.locator(f"#row-{one}").get_by_text("mine, after all")).to_be_visible()
    note = await psql.fetchval("SELECT note FROM transactions WHERE id = $1", one)
    assert note == "mine, after all"
