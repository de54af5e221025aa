"""Undo, and undo of undo: each kind of command through the pages, and back to what was."""

import pytest

from history.conftest import Desk
from movements import make_rows


@pytest.fixture
async def rows(desk: Desk):
    return await make_rows(desk.psql, desk.books, 4)


async def undo(desk: Desk, version: int, **form) -> int:
    return await desk.do(f"/history/{version}/undo", **form)


async def there_and_back(desk: Desk, path: str, **form) -> None:
    """Do it, undo it, undo the undo, and undo that: each state is as it was before."""
    before = await desk.content()
    done = await desk.do(path, **form)
    after = await desk.content()
    assert after != before
    version = done
    for expected in (before, after, before):
        version = await undo(desk, version)
        assert await desk.content() == expected
    assert version == done + 3


async def test_labels_on_and_off(desk: Desk, rows):
    one = f"/transactions/{rows.ids[0]}/labels"
    await there_and_back(desk, one, label="rent")
    await desk.do(one, label="kept")
    label = await desk.psql.fetchval(
        "SELECT id FROM labels WHERE ledger_id = $1", desk.books.ledger_id
    )
    await there_and_back(desk, f"{one}/{label}/delete")


async def test_notes_contacts_and_corrections(desk: Desk, rows):
    one = f"/transactions/{rows.ids[0]}"
    await there_and_back(desk, f"{one}/note", note="hello\nworld")
    await there_and_back(desk, f"{one}/contact", contact="Bob")
    await desk.do(f"{one}/labels", label="rent")
    await there_and_back(
        desk,
        one,
        type="income",
        counterparty="",
        occurred_at="2024-05-06T07:08:09",
        amount="123.000000000000000001",
        note="all of it",
        contact="Carol",
    )


async def test_additions_and_deletions_by_hand(desk: Desk, rows):
    await desk.do(f"/transactions/{rows.ids[0]}/labels", label="rent")
    await there_and_back(desk, f"/transactions/{rows.ids[0]}/delete")
    await there_and_back(
        desk,
        "/transactions",
        wallet_id=rows.wallet,
        type="receive",
        asset="BTC",
        amount="1.5",
        occurred_at="2024-05-06T07:08:09",
        status="confirmed",
        note="by hand",
    )


async def test_what_is_named(desk: Desk, rows):
    ledger = desk.books.ledger_id
    await there_and_back(desk, "/labels", name="rent", color="red")
    await desk.do("/labels", name="one", color="red")
    await desk.do("/labels", name="two", color="blue")
    for place in (0, 1):
        await desk.do(f"/transactions/{rows.ids[place]}/labels", label="one")
    await desk.do(f"/transactions/{rows.ids[1]}/labels", label="two")
    query = "SELECT id FROM labels WHERE ledger_id = $1 AND name = $2"
    one, two = [await desk.psql.fetchval(query, ledger, name) for name in ("one", "two")]
    await there_and_back(desk, f"/labels/{one}", name="Uno", color="teal")
    await there_and_back(desk, f"/labels/{one}/merge", into=two)
    await there_and_back(desk, f"/labels/{one}/delete", transactions=2)


async def test_contacts_and_wallets(desk: Desk, rows):
    ledger = desk.books.ledger_id
    address = "0x52908400098527886E0F7030069857D2E4169EE7"
    await there_and_back(desk, "/contacts", name="Bob", note="")
    for name in ("Bob", "Carol"):
        await desk.do("/contacts", name=name, note=f"about {name}")
    query = "SELECT id FROM contacts WHERE ledger_id = $1 AND name = $2"
    bob = await desk.psql.fetchval(query, ledger, "Bob")
    await there_and_back(desk, f"/contacts/{bob}/addresses", network="evm", address=address)
    await desk.do(f"/contacts/{bob}/addresses", network="evm", address=address)
    await desk.do(f"/transactions/{rows.ids[0]}/contact", contact="Bob")
    await there_and_back(desk, f"/contacts/{bob}", name="Robert", note="new")
    await there_and_back(desk, f"/contacts/{bob}/merge", into="Carol")
    seen = await desk.api("GET", f"/contacts/{bob}")
    uses = (await seen.get_json())["transactions"]
    await there_and_back(desk, f"/contacts/{bob}/delete", transactions=uses)
    await there_and_back(desk, f"/wallets/{rows.wallet}", name="Renamed", note="x")
    await there_and_back(
        desk, f"/wallets/{rows.wallet}/addresses", chain="ethereum", address=address
    )


async def test_a_wallet_with_all_that_is_in_it(desk: Desk, rows):
    await desk.do(f"/transactions/{rows.ids[0]}/labels", label="rent")
    await desk.do(f"/transactions/{rows.ids[1]}/delete")
    await desk.psql.execute(FILES, desk.books.ledger_id, rows.wallet, rows.ids)
    await there_and_back(desk, f"/wallets/{rows.wallet}/delete", transactions=3)


FILES = """
WITH made AS (
  INSERT INTO imports (ledger_id, wallet_id, status) VALUES ($1, $2, 'done') RETURNING id
), file AS (
  INSERT INTO import_files (ledger_id, import_id, name, format, digest, size)
  SELECT $1, id, 'a.csv', 'own', '\\x00ff', 5 FROM made
), contained AS (
  INSERT INTO import_rows (ledger_id, import_id, transaction_id, outcome)
  SELECT $1, made.id, t, 'new' FROM made, unnest($3::bigint[]) t
)
INSERT INTO import_references (ledger_id, import_id, reference_id, outcome)
SELECT $1, id, 1, 'there' FROM made
"""
