"""From a commit in psql to the event at the last open stream, and what a stream's memory is.

In each round both servers are started anew, one after the other, and the same streams are
opened at each: first one, then more and more.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from statistics import median

import asyncpg
import click

from benchmarks.bench import Bench
from benchmarks.data import Books
from benchmarks.measures import Measure, ratio
from benchmarks.serving import Served, free_port, freshledger, serving
from benchmarks.watching import Clients, sign_in, watching

LINES = ("6", "10")

WARM = 10
"""Commits before, which do not count: PostgreSQL plans a statement anew five times."""

PAUSE = 0.05
"""Seconds between the last event of one commit and the next commit."""

FANOUT = ("-m", "hypercorn", "--worker-class", "uvloop", "--workers", "0")

UPDATE = """
UPDATE transactions SET note = $2
WHERE id = (SELECT id FROM transactions WHERE ledger_id = $1 ORDER BY occurred_at DESC, id DESC LIMIT 1)
"""
HEAD = "SELECT version FROM heads WHERE ledger_id = $1"


@dataclass
class Party:
    """What one of the two has done: milliseconds to the last stream, of every commit of a round.

    `memory` is in KB: the server at rest, and each open stream.
    """

    times: dict[int, list[list[float]]] = field(default_factory=dict)
    rest: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    def middles(self, streams: int) -> tuple[float, ...]:
        """Return the median of each round."""
        return tuple(median(times) for times in self.times[streams])

    def worst(self, streams: int) -> tuple[float, ...]:
        """Return the 99th percentile of each round: with so few commits, its slowest one."""
        return tuple(sorted(times)[int(len(times) * 0.99)] for times in self.times[streams])


@dataclass
class Work:
    """What both parties are given: a ledger, and the viewers' sessions."""

    bench: Bench
    books: Books
    psql: asyncpg.Connection
    secrets: list[str]
    event_bytes: int = 0

    async def round(self, party: Party, server: Served, path: str) -> None:
        """Open more and more streams, and measure each number of them."""
        secrets, opened = self.secrets, 0
        memory: dict[int, float] = {}
        async with watching("benchmarks.watcher", server) as clients:
            for count in self.bench.size.streams:
                await clients.ask({"open": [(path, secret) for secret in secrets[opened:count]]})
                opened = count
                party.times.setdefault(count, []).append(await self._commits(clients))
                await asyncio.sleep(self.bench.size.seconds)
                memory[count] = server.process.memory_info().rss / 1000
        least, most = min(memory), max(memory)
        party.rest.append(memory[least])
        party.memory.append((memory[most] - memory[least]) / (most - least))

    async def _commits(self, clients: Clients) -> list[float]:
        """Return the milliseconds from each commit to the event at the last stream."""
        times = []
        for number in range(WARM + self.bench.size.commits):
            await asyncio.sleep(PAUSE)
            await clients.ask({"listen": True})
            await self.psql.execute(UPDATE, self.books.ledger_id, f"seen by {number}")
            committed = time.monotonic()
            version = await self.psql.fetchval(HEAD, self.books.ledger_id)
            heard = await clients.answer()
            if [told for told, _ in heard["events"]] != [version]:
                raise click.ClickException(f"streams told {heard['events']} of version {version}")
            self.event_bytes = heard["events"][0][1]
            times.append((heard["last"] - committed) * 1000)
        return times[WARM:]


async def measure(bench: Bench) -> list[Measure]:
    """Measure freshledger and the bare fan-out by turns; freshledger first, for its events' size."""
    books = await bench.books(bench.size.least_rows)
    psql = await asyncpg.connect(books.url)
    try:
        secrets = await sign_in(psql, books.ledger_id, max(bench.size.streams))
        work, ours, bare = Work(bench, books, psql, secrets), Party(), Party()
        for number in range(bench.size.rounds):
            bench.say(f"streams: round {number + 1} of {bench.size.rounds}")
            async with freshledger(books.url) as server:
                await work.round(ours, server, f"/ledgers/{books.ledger_id}/live")
            async with _fanout(books, work.event_bytes) as server:
                await work.round(bare, server, "/live")
    finally:
        await psql.close()
    return [*_delays(bench, ours, bare), *_memory(bench, ours, bare)]


@asynccontextmanager
async def _fanout(books: Books, event_bytes: int) -> AsyncIterator[Served]:
    port = free_port()
    command = [
        sys.executable,
        *FANOUT,
        "--bind",
        f"127.0.0.1:{port}",
        "benchmarks.peers.fanout:app",
    ]
    environment = {"FANOUT_DATABASE": books.url, "FANOUT_BYTES": str(event_bytes)}
    async with serving(command, environment, port=port) as server:
        yield server


def _delays(bench: Bench, ours: Party, bare: Party) -> list[Measure]:
    found = []
    for count in bench.size.streams:
        many = f"{count:,} stream{'s' if count > 1 else ''}"
        these, those = ours.middles(count), bare.middles(count)
        bound = 100.0 if count == 1000 else None  # noqa: PLR2004 - what the table asks
        found += [
            Measure("6", f"commit → the last of {many}", "ms", these),
            Measure(
                "6",
                f"commit → the last of {many}, 99 of 100",
                "ms",
                ours.worst(count),
                at_most=bound,
            ),
            Measure("6", f"bare fan-out → the last of {many}", "ms", those),
            Measure("6", f"bare fan-out → the last of {many}, 99 of 100", "ms", bare.worst(count)),
            ratio("6", f"to the last of {many}, by a bare fan-out's", these, those, at_most=2),
        ]
    return found


def _memory(bench: Bench, ours: Party, bare: Party) -> list[Measure]:
    streams = max(bench.size.streams)
    bound = 30.0 if streams == 1000 else None  # noqa: PLR2004 - fewer tell nothing of each
    return [
        Measure("10", "a worker with one stream", "KB", tuple(ours.rest)),
        Measure("10", f"each of {streams:,} open streams", "KB", tuple(ours.memory), at_most=bound),
        Measure("10", "each stream of a bare fan-out", "KB", tuple(bare.memory)),
    ]
