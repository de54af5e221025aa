"""An open page shows the present state, whoever changed it, and nobody's work in it is lost."""

import pytest
from playwright.async_api import Page, expect

from movements import make_row, make_rows

LIVE = "#live[data-state=live]"


@pytest.fixture
async def rows(psql, books):
    return await make_rows(psql, books, 40)


@pytest.fixture
async def listed(own_page: Page, books, rows) -> Page:
    """The list of forty movements, live, marked to see whether it is ever left."""
    assert len(rows.ids) == 40
    await own_page.goto(f"{books.path}/transactions")
    await expect(own_page.locator(LIVE)).to_be_attached()
    await expect(own_page.locator(".summary__count")).to_have_text("40 transactions")
    await own_page.evaluate("window.unbroken = true")
    return own_page


async def set_note(psql, books, row, text):
    await psql.execute(
        "UPDATE transactions SET note = $3 WHERE ledger_id = $1 AND id = $2",
        books.ledger_id,
        row,
        text,
    )


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
