"""Line 4: page 10,000 beside page 1, by key and by OFFSET, through HTTP and in plain SQL."""

import time
from collections.abc import Awaitable, Callable

import asyncpg
import click
import httpx

from benchmarks import serving
from benchmarks.bench import Bench
from benchmarks.data import Books
from benchmarks.measures import Measure, ratio
from freshledger.paging import Cursor, microseconds

LINES = ("4",)
PAGE, FAR, TIMES, WARM = 50, 10_000, 30, 10

ROWS = """
SELECT t.*, w.name AS wallet FROM transactions t
JOIN wallets w ON w.ledger_id = t.ledger_id AND w.id = t.wallet_id
WHERE t.ledger_id = $1 ORDER BY t.occurred_at DESC, t.id DESC LIMIT $2 OFFSET $3
"""
"""What a list that pages by OFFSET asks for."""

Ask = Callable[[], Awaitable[list[int]]]
"""Asks for a page; returns the ids of its rows."""


async def measure(bench: Bench) -> list[Measure]:
    """Ask for both pages by turns, in both ways; the same rows have to come."""
    books = await bench.books(bench.size.rows)
    far = min(FAR, bench.size.rows // PAGE)
    connection = await asyncpg.connect(books.url)
    try:
        async with serving.freshledger(books.url) as served, httpx.AsyncClient() as client:
            keys = await _by_key(client, served.address, books, connection, far)
            offsets = [_by_offset(connection, books, number) for number in (1, far)]
            found: list[tuple[float, ...]] = [
                await _round((*keys, *offsets)) for _ in range(bench.size.rounds)
            ]
    finally:
        await connection.close()
    first, last, first_offset, last_offset = zip(*found, strict=True)
    said = f"page {far:,}"
    return [
        Measure("4", "page 1 by key", "ms", first),
        Measure("4", f"{said} by key", "ms", last),
        ratio("4", f"{said} by key to page 1", last, first, at_most=1.2),
        Measure("4", "page 1 by OFFSET, plain SQL", "ms", first_offset),
        Measure("4", f"{said} by OFFSET, plain SQL", "ms", last_offset),
        ratio("4", f"{said} by OFFSET to page 1, plain SQL", last_offset, first_offset),
    ]


async def _by_key(
    client: httpx.AsyncClient,
    address: str,
    books: Books,
    connection: asyncpg.Connection,
    far: int,
) -> tuple[Ask, Ask]:
    """Return how to ask for page 1 and for the far one, which begins behind the row before it."""
    path = f"{address}/api/v1/ledgers/{books.ledger_id}/transactions"
    before = (await connection.fetch(ROWS, books.ledger_id, 1, (far - 1) * PAGE - 1))[0]
    place = (microseconds(before["occurred_at"]), str(before["id"]))
    cursor = Cursor(place).encode(scope=f"{books.ledger_id}:-time")

    def asking(parameters: dict[str, str]) -> Ask:
        async def ask() -> list[int]:
            answer = await client.get(
                path,
                params={"limit": str(PAGE)} | parameters,
                headers={"Authorization": f"Bearer {books.token}"},
            )
            answer.raise_for_status()
            return [row["id"] for row in answer.json()["transactions"]]

        return ask

    return asking({}), asking({"cursor": cursor})


def _by_offset(connection: asyncpg.Connection, books: Books, number: int) -> Ask:
    async def ask() -> list[int]:
        rows = await connection.fetch(ROWS, books.ledger_id, PAGE, (number - 1) * PAGE)
        return [row["id"] for row in rows]

    return ask


async def _round(asks: tuple[Ask, ...]) -> tuple[float, ...]:
    """Return the median of each in milliseconds; raises ClickException where rows differ."""
    times: list[list[float]] = [[] for _ in asks]
    for _ in range(WARM + TIMES):
        shown = []
        for ask, taken in zip(asks, times, strict=True):
            begin = time.perf_counter()
            shown.append(await ask())
            taken.append((time.perf_counter() - begin) * 1000)
        if shown[0] != shown[2] or shown[1] != shown[3]:
            raise click.ClickException("pages by key and by OFFSET have different rows")
    return tuple(sorted(taken[WARM:])[TIMES // 2] for taken in times)
