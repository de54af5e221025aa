"""Line 9: a label on all that a filter lets in, by the API, against the bare statement in psql.

The API's part is all of what a user does: the preview, whose digest says which rows they saw,
and the edit, which is done to exactly those. Each round has labels of its own, so that nothing
has to be undone; triggers, foreign keys and indexes are the same for both. What the API does
is written down row by row, as for every edit by a person; of psql's its number alone.
"""

import time

import click
import httpx

from benchmarks.bench import Bench
from benchmarks.copies import copied, psql
from benchmarks.data import Books
from benchmarks.measures import Measure, ratio
from benchmarks.serving import freshledger

LINES = ("9",)

WALLET = 8
"""It has the oldest tenth of all rows."""

_COLUMNS = "ledger_id, transaction_id, label_id, occurred_at, wallet_id, asset, type"


async def measure(bench: Bench) -> list[Measure]:
    """Label the same rows by turns; both must have labelled all of them."""
    size = bench.size
    ours: list[float] = []
    bare: list[float] = []
    async with copied(bench, await bench.books(size.rows)) as books:
        bearer = {"Authorization": f"Bearer {books.token}"}
        async with (
            freshledger(books.url) as served,
            httpx.AsyncClient(base_url=served.address, headers=bearer, timeout=600) as client,
        ):
            for n in range(size.rounds):
                bench.say(f"line 9: round {n + 1}")
                ours.append(await _by_api(client, books, await _label(books, f"ours {n}")))
                bare.append(await _by_psql(books, await _label(books, f"bare {n}")))
                await _check(books, size.bulk_rows)
    note = f"{size.bulk_rows:,} of {size.rows:,} rows"
    return [
        Measure("9", "label all matches by the API: preview and edit", "s", tuple(ours), note=note),
        Measure("9", "the bare statement in psql", "s", tuple(bare), note=note),
        ratio("9", "the API to the bare statement", tuple(ours), tuple(bare), at_most=3),
    ]


async def _label(books: Books, name: str) -> int:
    insert = f"INSERT INTO labels (ledger_id, name) VALUES ({books.ledger_id}, '{name}')"
    return int(await psql(books.url, f"{insert} RETURNING id"))


async def _by_api(client: httpx.AsyncClient, books: Books, label: int) -> float:
    root, where = f"/api/v1/ledgers/{books.ledger_id}/transactions", f"wallet={WALLET}"
    began = time.perf_counter()
    seen = await client.get(f"{root}/preview?{where}")
    seen.raise_for_status()
    wish = {"filter": where, "add": [label]} | seen.json()
    (await client.post(f"{root}/bulk/labels", json=wish)).raise_for_status()
    return time.perf_counter() - began


async def _by_psql(books: Books, label: int) -> float:
    insert = (
        f"INSERT INTO transaction_labels ({_COLUMNS})"
        f" SELECT ledger_id, id, {label}, occurred_at, wallet_id, asset, type FROM transactions"
        f" WHERE ledger_id = {books.ledger_id} AND wallet_id = {WALLET} ON CONFLICT DO NOTHING"
    )
    began = time.perf_counter()
    await psql(books.url, insert)
    return time.perf_counter() - began


async def _check(books: Books, rows: int) -> None:
    """Raise ClickException unless every label of this run is on exactly the wallet's rows."""
    wrong = await psql(
        books.url,
        f"""
        SELECT l.name, count(t.id) FROM labels l LEFT JOIN transaction_labels k
          ON k.ledger_id = l.ledger_id AND k.label_id = l.id
        LEFT JOIN transactions t ON t.ledger_id = k.ledger_id AND t.id = k.transaction_id
          AND t.wallet_id = {WALLET}
        WHERE l.name ~ '^(ours|bare) ' GROUP BY l.id, l.name
        HAVING (count(k), count(t)) <> ({rows}, {rows})
        """,
    )
    if wrong:
        raise click.ClickException(
            f"line 9: labels on other rows than those of the filter: {wrong}"
        )
