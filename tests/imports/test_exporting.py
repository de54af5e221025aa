"""Exports: exactly what the filter shows, and back into an identical ledger."""

import asyncio
import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from freshledger.imports import export_pages, exporting
from freshledger.imports.exporting import Order
from freshledger.transactions.filters import EVERYTHING, TransactionFilter
from freshledger.transactions.periods import Clock
from freshledger.web import rendering

COLUMNS = (
    "identity, occurrence, group_key, occurred_at, type, status, asset, contract, amount, chain,"
    " txid, own_address, counterparty, note, fiat_value, fiat_currency"
)


async def write(desk: Any, format_: str, where: TransactionFilter = EVERYTHING) -> Path:
    order = Order(desk.ledger_id, format_, where, Clock.of("UTC"))
    path = desk.folder / f"out.{format_}"
    async with desk.database.read() as session:
        await exporting.begin_snapshot(session)
        with path.open("wb") as stream:
            async for _ in exporting.write_parts(session, order, stream=stream):
                pass
    return path


async def named(desk: Any) -> set[tuple[Any, ...]]:
    found = await desk.psql.fetch(
        "SELECT t.identity, t.occurrence, w.name, c.name FROM transactions t"
        " JOIN wallets w ON w.id = t.wallet_id LEFT JOIN contacts c ON c.id = t.contact_id"
        " WHERE t.ledger_id = $1",
        desk.ledger_id,
    )
    return {tuple(row) for row in found}


@pytest.mark.parametrize("format_", ["csv", "jsonl"])
async def test_an_export_makes_an_identical_ledger(
    desk: Any, other_desk: Any, movement: Any, format_: str
) -> None:
    address = "0x" + "ab" * 20
    rows = [
        movement(
            "=1+1",
            "-0.000000000000000001",
            type="send",
            note='=cmd|"x"\nsecond line',
            chain="ethereum",
        ),
        movement("same", "12345678901234567890.5", labels=("a;b", "c\\", "-d")),
        movement(
            "same", "12345678901234567890.5", contact="Bob", counterparty=address, chain="base"
        ),
        movement("p", status="pending", wallet="Other", txid="0x" + "cd" * 32, own_address=address),
        movement("f", "0", status="failed", fiat_value=Decimal("-1.10"), fiat_currency="EUR"),
    ]
    await desk.bring(desk.file(*rows))
    assert await desk.count() == 5
    file = await write(desk, format_)
    assert await other_desk.bring(file, wallet="Unused") == (5, 0, 0)
    assert await other_desk.rows(COLUMNS) == await desk.rows(COLUMNS)
    assert await other_desk.labels() == await desk.labels()
    assert await named(other_desk) == await named(desk)
    assert await desk.bring(file, wallet="Unused") == (0, 5, 0)
    assert (await write(other_desk, format_)).read_bytes() == file.read_bytes()


async def test_an_export_holds_what_the_filter_shows(desk: Any, many: Any, movement: Any) -> None:
    rows = many(12_000)
    later = rows[-1].occurred_at + timedelta(days=1)
    await desk.bring(desk.file(*rows, movement("other", "2", asset="BTC", occurred_at=later)))
    lines = (await write(desk, "jsonl")).read_text().splitlines()
    sums: dict[str, Decimal] = {}
    for item in map(json.loads, lines):
        sums[item["asset"]] = sums.get(item["asset"], Decimal(0)) + Decimal(item["amount"])
    found = await desk.psql.fetch(
        "SELECT asset, sum(amount) FROM transactions WHERE ledger_id = $1 GROUP BY asset",
        desk.ledger_id,
    )
    assert (len(lines), sums) == (12_001, dict(map(tuple, found)))
    only = TransactionFilter.from_args([("asset", "BTC")])
    (line,) = (await write(desk, "jsonl", only)).read_text().splitlines()
    assert json.loads(line)["identity"] == "other"


async def test_label_lines_are_kept_and_made(desk: Any, movement: Any, psql: Any) -> None:
    held, later = "aa" * 32, "bb" * 32
    lines = [
        {"type": "tx", "ref": held, "label": "Rent", "origin": "wpkh([d34db33f/84'/0'/0'])"},
        {"type": "tx", "ref": later, "label": "Later"},
        {"type": "output", "ref": f"{held}:1", "spendable": False},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    await desk.bring(desk.text(text, ".jsonl"))
    await desk.bring(desk.file(movement("a", txid=held, labels=("Own",))))
    exported = (await write(desk, "bip329")).read_text().splitlines()
    own = {"type": "tx", "ref": held, "label": "Own"}
    assert [json.loads(line) for line in exported] == [*lines, own]
    only = TransactionFilter.from_args([("asset", "ETH")])
    exported = (await write(desk, "bip329", only)).read_text().splitlines()
    assert [json.loads(line) for line in exported] == [lines[0], own]
    await psql.execute("DELETE FROM transaction_labels WHERE ledger_id = $1", desk.ledger_id)
    exported = (await write(desk, "bip329")).read_text().splitlines()
    assert [json.loads(line) for line in exported] == lines[1:]


async def test_a_small_export_is_sent_at_once(
    client: Any, books: Any, desk: Any, movement: Any
) -> None:
    await desk.bring(desk.file(movement("a"), movement("b", asset="BTC")))
    page = await client.get(f"{books.path}/exports/new?asset=BTC")
    assert page.status_code == 200
    assert "asset BTC" in await page.get_data(as_text=True)
    form = {"csrf_token": books.csrf_token, "format": "csv", "where": "asset=BTC"}
    response = await client.post(f"{books.path}/exports", form=form)
    file = await client.get(response.location)
    assert file.status_code == 200
    assert "attachment; filename=Books-v" in file.headers["Content-Disposition"]
    assert len((await file.get_data(as_text=True)).splitlines()) == 2
    shown = await client.get(response.location.removesuffix("/file"))
    assert "Download" in await shown.get_data(as_text=True)


async def test_many_exports_at_once_leave_connections_for_pages(
    client: Any, books: Any, app: Any
) -> None:
    """Three times as many as the pool has connections: none is refused, none waits for the pool."""
    form = {"csrf_token": books.csrf_token, "format": "csv", "where": ""}
    begin = (
        client.post(f"{books.path}/exports", form=form) for _ in range(3 * app.settings.pool_size)
    )
    *begun, page = await asyncio.gather(*begin, client.get(f"{books.path}/transactions"))
    assert page.status_code == 200
    assert [response.status_code for response in begun] == [303] * len(begun)


async def test_an_archived_ledger_can_be_exported(client: Any, books: Any, psql: Any) -> None:
    await psql.execute("UPDATE ledgers SET archived_at = now() WHERE id = $1", books.ledger_id)
    form = {"csrf_token": books.csrf_token, "format": "csv", "where": ""}
    response = await client.post(f"{books.path}/exports", form=form)
    assert response.status_code == 303
    assert (await client.get(response.location)).status_code == 200


async def test_what_is_begun_is_not_begun_again(
    client: Any, books: Any, csrf: Any, psql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is lost after the export was noted: that stands, and is answered."""
    answers: list[str] = []

    def see_other(location: str) -> Any:
        answers.append(location)
        if len(answers) == 2:
            raise DBAPIError("SELECT", None, Exception(), connection_invalidated=True)
        return rendering.see_other(location)

    monkeypatch.setattr(export_pages, "see_other", see_other)
    form = {"format": "csv", "where": ""}
    response = await client.post(f"{books.path}/exports", form=form, headers=csrf)
    assert (response.status_code, response.location) == (303, answers[0])
    query = "SELECT count(*) FROM exports WHERE ledger_id = $1"
    assert await psql.fetchval(query, books.ledger_id) == 1
    assert len(answers) == 2
