"""What tests of live pages share."""

from playwright.async_api import Page, expect

LIVE = "#live[data-state=live]"


async def opened(page: Page, path: str) -> Page:
    """Open a page and wait until it follows; it is marked to see whether it is ever left."""
    await page.goto(path)
    await expect(page.locator(LIVE)).to_be_attached()
    await page.evaluate("window.unbroken = true")
    return page


async def set_note(psql, books, row, text):
    """Write a note as somebody else's program would."""
    await psql.execute(
        "UPDATE transactions SET note = $3 WHERE ledger_id = $1 AND id = $2",
        books.ledger_id,
        row,
        text,
    )
