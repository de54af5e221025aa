"""From a commit in psql until the last of many open pages shows it, beside plain GETs of the same.

In each round the pages are fetched all at once, over the same connections, before any of them
has a stream; then each follows its ledger, and a commit changes what all of them show.
"""

import asyncio
import time
from dataclasses import dataclass, field

import asyncpg
import click

from benchmarks.bench import Bench
from benchmarks.data import Books
from benchmarks.measures import Measure, on_curve, ratio
from benchmarks.serving import freshledger
from benchmarks.watching import Clients, sign_in, watching

LINES = ("7",)

FILTERS = (
    "", "wallet=1", "wallet=2", "type=receive", "type=send", "type=fee", "asset=BTC", "asset=ETH",
    "asset=USDC", "chain=ethereum", "chain=base", "status=confirmed", "label=1", "label=none",
    "contact=1", "asset=BTC&type=receive", "asset=BTC&wallet=1", "wallet=1&type=receive",
    "asset=ETH&chain=base", "asset=USDC&type=send",
)  # fmt: skip
MOST_COMMITS = 5
"""Of each round, for as many pages as are done in a moment; for more, one."""

MANY = 1000
PAUSE = 0.2
"""Seconds between the last page of one commit and the next commit."""

UPDATE = """
UPDATE transactions SET note = $2
WHERE id = (SELECT id FROM transactions WHERE ledger_id = $1 ORDER BY occurred_at DESC, id DESC LIMIT 1)
"""
HEAD = "SELECT version FROM heads WHERE ledger_id = $1"


@dataclass(slots=True)
class Found:
    """What was found of so many pages: milliseconds, of every commit of each round."""

    plain: list[float] = field(default_factory=list)
    worst: list[float] = field(default_factory=list)
    middle: list[float] = field(default_factory=list)


async def measure(bench: Bench) -> list[Measure]:
    """Measure each number of pages in each round."""
    books = await bench.books(bench.size.rows)
    numbers = [number for number in bench.size.streams if number > 1]
    found = {number: Found() for number in numbers}
    psql = await asyncpg.connect(books.url)
    try:
        secrets = await sign_in(psql, books.ledger_id, max(numbers))
        async with freshledger(books.url) as server:
            async with watching("benchmarks.following", server) as clients:
                await _fetch(clients, books, secrets[: len(FILTERS)])  # its first pages are slow
            for place in range(bench.size.rounds):
                for number in numbers:
                    bench.say(f"{number:,} pages: round {place + 1} of {bench.size.rounds}")
                    async with watching("benchmarks.following", server) as clients:
                        await _round(clients, psql, books, secrets[:number], found[number])
    finally:
        await psql.close()
    return [one for number in numbers for one in _measures(number, found[number])]


async def _round(
    clients: Clients, psql: asyncpg.Connection, books: Books, secrets: list[str], found: Found
) -> None:
    found.plain.append(await _fetch(clients, books, secrets))
    await clients.ask({"follow": f"/ledgers/{books.ledger_id}/live"})
    times = []
    for number in range(1 if len(secrets) >= MANY else MOST_COMMITS):
        await asyncio.sleep(PAUSE)
        times.append(await _commit(clients, psql, books, f"seen by {len(secrets)} pages {number}"))
    times.sort()
    found.middle.append(times[len(times) // 2])
    found.worst.append(times[-1])


async def _fetch(clients: Clients, books: Books, secrets: list[str]) -> float:
    """Open pages without streams; return the milliseconds until all are there."""
    root = f"/ledgers/{books.ledger_id}/transactions"
    addresses = [
        f"{root}?{FILTERS[number % len(FILTERS)]}".removesuffix("?")
        for number in range(len(secrets))
    ]
    await clients.ask({"pages": list(zip(addresses, secrets, strict=True))})
    return (await clients.ask({"fetch": True}))["seconds"] * 1000


async def _commit(clients: Clients, psql: asyncpg.Connection, books: Books, note: str) -> float:
    """Return the milliseconds from a commit until the last page shows it."""
    version = 1 + await psql.fetchval(HEAD, books.ledger_id)
    note = f"{note} at {version}"
    await clients.ask({"listen": [version, note]})
    await psql.execute(UPDATE, books.ledger_id, note)
    committed = time.monotonic()
    heard = await clients.answer()
    if not heard["with_text"]:
        raise click.ClickException(f"no page shows the note of version {version}: {note}")
    return (heard["last"] - committed) * 1000


def _measures(number: int, found: Found) -> list[Measure]:
    pages, plain, middle = f"{number:,} open pages", tuple(found.plain), tuple(found.middle)
    within = 500.0 if number < MANY else None
    return [
        Measure("7", f"commit → the last of {pages}", "ms", middle),
        Measure(
            "7",
            f"commit → the last of {pages}, 99 of 100",
            "ms",
            tuple(found.worst),
            at_most=within,
        ),
        Measure("7", f"plain GETs of the same {number:,} blocks", "ms", plain),
        ratio("7", f"to the last of {pages}, by plain GETs'", middle, plain, at_most=1.5),
        on_curve("7", "open pages", "commit → the last of them", number, "ms", middle),
        on_curve("7", "open pages", "plain GETs of the same", number, "ms", plain),
    ]
