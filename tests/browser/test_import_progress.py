"""A long import is seen to go on, without a reload, and can be cancelled while it is read."""

from contextlib import asynccontextmanager

import pytest
from playwright.async_api import expect

from freshledger.imports.formats.own import csv_header, csv_line
from freshledger.imports.reading import BATCH
from imports.conftest import many, movement


@pytest.fixture
def history(tmp_path):
    """A file of two batches, of which the second needs the wallet Other."""
    file = tmp_path / "history.csv"
    rows = [*many(BATCH), movement("last", wallet="Other")]
    file.write_text(csv_header() + "".join(map(csv_line, rows)), newline="")
    return file


@asynccontextmanager
async def held_up(psql, ledger_id):
    """Let nobody make the wallet Other meanwhile: whoever wants to, waits."""
    transaction = psql.transaction()
    await transaction.start()
    await psql.execute("INSERT INTO wallets (ledger_id, name) VALUES ($1, 'Other')", ledger_id)
    yield
    await transaction.rollback()


async def upload(page, books, file):
    await page.goto(f"{books.path}/imports/new")
    await page.get_by_label("Files").set_input_files(file)
    await page.get_by_role("combobox", name="Wallet").fill("Main")
    await page.get_by_role("button", name="Read the files").click()
    await expect(page.get_by_role("heading", name="Reading the files")).to_be_visible()
    await expect(page.get_by_role("progressbar")).to_have_attribute("max", "100")


async def test_the_preview_comes_by_itself(own_page, books, psql, history):
    async with held_up(psql, books.ledger_id):
        await upload(own_page, books, history)
    await expect(own_page.get_by_role("button", name="Import", exact=True)).to_be_visible()
    await expect(own_page.get_by_text("10,001")).to_be_visible()


async def test_reading_is_cancelled(own_page, books, psql, history):
    async with held_up(psql, books.ledger_id):
        await upload(own_page, books, history)
        await own_page.get_by_role("button", name="Cancel", exact=True).click()
        await expect(own_page.get_by_text("This import was cancelled")).to_be_visible()
