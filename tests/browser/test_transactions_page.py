"""The transactions page with its scripts: parts are fetched, nothing is lost on the way."""

import re

import pytest
from playwright.async_api import Page, expect

from movements import make_row, make_rows


@pytest.fixture
async def rows(psql, books):
    return await make_rows(psql, books, 60)


@pytest.fixture
async def listed(own_page: Page, books, rows) -> Page:
    """The list of sixty movements, its sums arrived, marked to see whether it is ever left."""
    assert len(rows.ids) == 60
    await own_page.goto(f"{books.path}/transactions?limit=25")
    await expect(own_page.locator(".summary__count")).to_have_text("60 transactions")
    await own_page.evaluate("window.unbroken = true")
    return own_page


async def test_filters_change_the_list_the_sums_and_the_address(listed):
    await listed.locator("#filter-type summary").click()
    await listed.locator("#filter-type").get_by_label("Send", exact=True).check()
    await expect(listed.locator(".summary__count")).to_have_text("30 transactions")
    await expect(listed.locator("#filter-type .popover__panel")).to_be_visible()  # stays open
    await expect(listed).to_have_url(re.compile(r"\?type=send&limit=25$"))
    await listed.get_by_label("Remove filter type send").click()
    await expect(listed.locator(".summary__count")).to_have_text("60 transactions")
    assert await listed.evaluate("window.unbroken")
    await listed.go_back()
    await expect(listed.locator(".summary__count")).to_have_text("30 transactions")


async def test_the_next_page_keeps_the_sums(listed):
    counted = []
    listed.on("request", lambda request: "/totals" in request.url and counted.append(request.url))
    first = await listed.locator("tr[data-row]").first.get_attribute("data-row")
    await listed.get_by_label("Next page").click()
    await expect(listed.locator(f"#row-{first}")).to_have_count(0)
    await expect(listed.locator(".summary__count")).to_have_text("60 transactions")
    await expect(listed.locator("tr[data-row]")).to_have_count(25)
    assert counted == []  # the same filter at the same version
    assert await listed.evaluate("window.unbroken")


async def test_label_note_and_contact_in_the_row(listed):
    row = listed.locator("tr[data-row]").nth(2)
    await row.hover()
    await row.locator("a[data-edit=label]").click()
    await listed.keyboard.type("Tax")
    await listed.keyboard.press("Enter")
    await expect(row.locator(".label__name")).to_have_text("Tax")
    await row.hover()
    await row.locator("a[data-edit=note]").click()
    await row.locator("textarea").fill("what it was for")
    await row.get_by_role("button", name="Save").click()
    await expect(row.locator(".note")).to_have_text("what it was for")
    await row.focus()
    await listed.keyboard.press("c")
    await listed.keyboard.type("Ann")
    await listed.keyboard.press("Enter")
    await expect(listed.locator(".address__contact")).to_have_text(["Ann"] * 25)
    await row.hover()
    await row.get_by_label("Remove label Tax").click()
    await expect(row.locator(".label__name")).to_have_count(0)
    assert await listed.evaluate("window.unbroken")


async def test_selected_rows_and_all_matches(listed):
    rows = listed.locator("tr[data-row]")
    await rows.nth(0).locator("[data-select]").check()
    await rows.nth(4).locator("[data-select]").click(modifiers=["Shift"])
    await expect(listed.locator("[data-bulk-count]")).to_have_text("5")
    await listed.locator("#bulk-label summary").click()
    await listed.keyboard.type("Five")
    await listed.keyboard.press("Enter")
    await expect(listed.locator("tr .label__name")).to_have_text(["Five"] * 5)
    await listed.get_by_label("Select all on this page").check()
    await listed.get_by_label("All 60 matches").check()
    await listed.locator("#bulk-label summary").click()
    await listed.locator("#bulk-label input[name=label]").fill("Everything")
    await listed.locator("#bulk-label").get_by_role("button", name="Add").click()
    await expect(listed.locator("#confirm-form")).to_be_visible()
    await listed.get_by_role("button", name="Yes, change 60 transactions").click()
    await expect(listed.locator("tr").get_by_text("Everything", exact=True)).to_have_count(25)
    await listed.get_by_label("Next page").click()
    await expect(listed.locator("tr").get_by_text("Everything", exact=True)).to_have_count(25)


async def test_rows_and_sums_are_of_one_version(listed, psql, books, rows):
    """A movement that arrives between the rows and their sums brings the rows again."""

    async def arrive(route):
        if "late" not in arrived:
            arrived.append("late")
            await make_row(psql, books, rows.wallet, 100)
        await route.continue_()

    arrived: list[str] = []
    await listed.route("**/totals?*", arrive)
    await listed.locator("#filter-type summary").click()
    await listed.locator("#filter-type").get_by_label("Receive", exact=True).check()
    await expect(listed.locator(".summary__count")).to_have_text("31 transactions")
    await expect(listed.locator("tr[data-row]").first).to_contain_text("2024-06-09")


async def test_without_scripts_all_of_it_works(browser, site, books, rows):
    context = await browser.new_context(base_url=site.address, java_script_enabled=False)
    cookie = {"name": "freshledger", "value": books.session_token, "url": site.address}
    await context.add_cookies([cookie])
    page = await context.new_page()
    await page.goto(f"{books.path}/transactions?limit=25")
    await page.locator("#filter-type summary").click()
    await page.locator("#filter-type").get_by_label("Send", exact=True).check()
    await page.locator("#filter-type").get_by_role("button", name="Apply").click()
    await page.get_by_role("link", name="Count and sums").click()
    await expect(page.locator(".summary__count")).to_have_text("30 transactions")
    await page.get_by_label("Next page").click()
    await expect(page.locator("tr[data-row]")).to_have_count(5)
    await page.locator("[data-select]").first.check()
    await page.locator("#bulk-label summary").click()
    await page.locator("#bulk-label input[name=label]").fill("Tax")
    await page.locator("#bulk-label").get_by_role("button", name="Add").click()
    await expect(page.locator("tr[data-row]")).to_have_count(5)  # the same place
    await expect(page.locator(f"#row-{rows.ids[9]} .label__name")).to_have_text("Tax")
    await page.locator(f"#row-{rows.ids[9]} a[data-edit=note]").click()
    await page.locator("#edit-form textarea").fill("slowly")
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator("#edit-form textarea")).to_have_value("slowly")
    await context.close()
