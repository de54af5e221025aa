"""From the set-up link to an export: the way that everybody goes first."""

import csv

from playwright.async_api import expect

from browser.conftest import window

ELECTRUM = """\
transaction_hash,label,confirmations,value,timestamp
{a},,10,0.5,2024-01-05 10:00
{b},rent,9,-0.2,2024-02-06 11:30
{c},,8,-0.1,2024-03-07 12:45
""".format(a="a1" * 32, b="b2" * 32, c="c3" * 32)


async def test_set_up_import_filter_label_contact_export(browser, fresh_site, tmp_path):
    history = tmp_path / "electrum-history.csv"
    history.write_text(ELECTRUM)
    async with window(browser, fresh_site) as context:
        page = await context.new_page()
        await set_up(page, fresh_site)
        await bring_in(page, history)
        await filter_label_and_name(page)
        rows = await export(page, tmp_path)
    (row,) = rows
    assert (row["txid"], row["amount"]) == ("b2" * 32, "-0.2")
    assert (row["labels"], row["contact"]) == ("home", "Landlord")


async def set_up(page, site):
    await page.goto(site.link)
    await page.get_by_label("Email").fill("ann@example.org")
    await page.get_by_label("Password").fill("correct horse battery")
    await page.get_by_role("textbox", name="Ledger").fill("Household")
    await page.get_by_role("button", name="Begin").click()
    await page.get_by_role("link", name="Household").first.click()
    await page.get_by_role("link", name="Transactions").click()
    await expect(page.get_by_text("No transactions yet")).to_be_visible()


async def bring_in(page, history):
    await page.get_by_role("link", name="Import a file").click()
    await page.get_by_label("Files").set_input_files(history)
    await page.get_by_role("combobox", name="Wallet").fill("Everyday")
    await page.get_by_role("button", name="Read the files").click()
    await expect(page.get_by_label("Time zone")).to_have_value("UTC")  # what the file does not say
    await page.get_by_role("button", name="Read the files").click()
    await page.get_by_role("button", name="Import", exact=True).click()
    await expect(page.get_by_role("link", name="Show the transactions")).to_be_visible()
    await page.get_by_role("link", name="Transactions").first.click()
    await expect(page.locator(".summary__count")).to_have_text("3 transactions")


async def filter_label_and_name(page):
    await page.get_by_role("searchbox", name="Search").fill("rent")
    await page.keyboard.press("Enter")
    await expect(page.locator(".summary__count")).to_have_text("1 transaction")
    row = page.locator("tr[data-row]")
    await row.hover()
    await row.locator("a[data-edit=label]").click()
    await page.keyboard.type("home")
    await page.keyboard.press("Enter")
    await expect(row.locator(".label__name")).to_have_text("home")
    await row.hover()
    await row.locator("a[data-edit=contact]").click()
    await page.keyboard.type("Landlord")
    await page.keyboard.press("Enter")
    await expect(row.locator(".address__contact")).to_have_text("Landlord")


async def export(page, folder):
    await page.get_by_role("link", name="Export").click()
    async with page.expect_download() as arriving:
        await page.get_by_role("button", name="Export").click()
    download = await arriving.value
    await download.save_as(folder / "export.csv")
    with (folder / "export.csv").open(newline="") as file:
        return list(csv.DictReader(file))
