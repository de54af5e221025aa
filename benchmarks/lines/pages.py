"""Lines 1a, 1b, 2 and 3: the list as JSON and as a page, beside its peers and its limit.

In each round everybody's answer is compared row by row with what plain SQL reads, then each is
measured once. One worker process each; 16 connections.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import click
import httpx

from benchmarks import serving
from benchmarks.answers import Shown, compare, read_truth, rows_of_json, rows_of_page
from benchmarks.bench import Bench, Size
from benchmarks.data import Books
from benchmarks.load import CONNECTIONS, TIMEOUT, Load, run_wrk
from benchmarks.measures import Measure, ratio
from benchmarks.peers import commands
from benchmarks.peers.pgbench import run_pgbench
from benchmarks.peers.statements import HTTP_NOT_MODIFIED, HTTP_OK, record
from benchmarks.rows import USUAL_ASSET
from benchmarks.serving import Served

LINES = ("1a", "1b", "2", "3")
ROWS, HEADERS = 50, 2000
"""Rows of a page; bytes that no answer's headers reach."""

OURS, BARE, PGBENCH = "freshledger", "bare asyncpg handler", "pgbench, the same SQL"
BLOCK = {"HX-Request": "true", "HX-Target": "frame"}
"""What an open page sends to be given its body again."""

UNCHANGED, UNCOUNTED = f"{OURS}, its block unchanged", "Flask, not counting"

WARMING, CALMING = 2, 60
BUSY = """
SELECT count(*) FROM pg_stat_activity
WHERE state = 'active' AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""

COUNTING = 10.0
"""How many times as fast as each peer freshledger has to be where the peers count."""

NOT_COUNTING = {"Flask": 2.5, "FastAPI": 2.0, "Litestar": 1.5, "Django": 3.0, BARE: 0.8}
"""The same where nobody does."""

NO_COUNT = "freshledger's list has no total count: it pages by key"


@dataclass(slots=True)
class Party:
    """Somebody who is measured, and what was found, once in each round.

    `read` returns the rows of an answer; with `again` the measured answers are 304s.
    """

    line: str
    name: str
    served: Served
    path: str
    headers: dict[str, str]
    read: Callable[[bytes], list[Shown]]
    again: bool = False
    kilobytes: float = 0.0
    loads: list[Load] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    @property
    def _who(self) -> str:
        return f"{self.name} ({self.line})"

    @property
    def rates(self) -> tuple[float, ...]:
        """Answers a second, by rounds."""
        return tuple(load.rate for load in self.loads)

    async def check(self, client: httpx.AsyncClient, truth: list[Shown]) -> bytes:
        """Ask, and return the body; raises ClickException where the answer is not the right one."""
        self.headers.pop("If-None-Match", None)
        answer = await self._ask(client, HTTP_OK)
        compare(self._who, self.read(answer.content), truth)
        if self.again:
            self.headers["If-None-Match"] = answer.headers["ETag"]
            answer = await self._ask(client, HTTP_NOT_MODIFIED)
        self.kilobytes = len(answer.content) / 1000
        return answer.content

    async def _ask(self, client: httpx.AsyncClient, status: int) -> httpx.Response:
        answer = await client.get(self.served.address + self.path, headers=self.headers)
        if answer.status_code != status:
            raise click.ClickException(f"{self._who}: {answer.status_code}, not {status}")
        return answer

    async def load(self, seconds: float) -> None:
        """Measure once."""
        before = self.served.cpu_seconds()
        load = await run_wrk(self.served.address + self.path, self.headers, seconds)
        spent = self.served.cpu_seconds() - before
        least, most = self.kilobytes * 1000, self.kilobytes * 1000 + HEADERS
        if not least * load.requests * 0.99 <= load.read <= most * (load.requests + CONNECTIONS):
            each = load.read / load.requests
            raise click.ClickException(f"{self._who}: {each:.0f} bytes each, not {least:.0f}")
        self.loads.append(load)
        self.cpu.append(spent / load.requests * 1000)

    def measures(self) -> list[Measure]:
        """State what was found, without a bound."""
        stated = (
            ("requests/s", "", self.rates),
            ("ms", ", half within", tuple(load.p50 for load in self.loads)),
            ("ms", ", 99 of 100 within", tuple(load.p99 for load in self.loads)),
            ("ms", ", CPU of its process for one", tuple(self.cpu)),
            ("KB", ", size", (self.kilobytes,) * len(self.loads)),
        )
        return [Measure(self.line, self.name + what, unit, rounds) for unit, what, rounds in stated]


async def measure(bench: Bench) -> list[Measure]:
    """Measure everybody in turns; raises ClickException for wrong rows."""
    books = await bench.books(bench.size.rows)
    asked = f"/api/v1/ledgers/{books.ledger_id}/transactions?asset={USUAL_ASSET}"
    recorded = await record(books.url, asked, books.token)
    limits: list[float] = []
    async with _everybody(books) as served, httpx.AsyncClient(timeout=60) as client:
        parties = [*_lists(books, served), *_pages(books, served)]
        if bench.size.rounds > 1:
            await _warm(books, parties, client)
        for number in range(bench.size.rounds):
            bench.say(f"lists and pages: round {number + 1} of {bench.size.rounds}")
            await check(books, parties, client)
            await _load(books, parties, bench.size)
            limits.append(await run_pgbench(books.url, recorded.page, bench.size.seconds))
    below = Measure("1b", PGBENCH, "requests/s", tuple(limits))
    stated = [found for party in parties for found in party.measures()]
    return [*_ratios({(party.line, party.name): party.rates for party in parties}), *stated, below]


async def _load(books: Books, parties: Sequence[Party], size: Size) -> None:
    """Load one after the other; in a smoke run, which compares nothing, some at a time."""
    if size.rounds == 1:
        for first in range(0, len(parties), 4):
            some = parties[first : first + 4]
            await asyncio.gather(*(party.load(size.seconds) for party in some))
        return
    for party in parties:
        await party.load(size.seconds)
        await calm(books, party.served)


async def check(books: Books, parties: Sequence[Party], client: httpx.AsyncClient) -> None:
    """Compare everybody's answer with the truth; raises ClickException naming who is wrong."""
    truth = await read_truth(books.url, books.ledger_id, USUAL_ASSET, ROWS)
    bodies = {(one.line, one.name): await one.check(client, truth) for one in parties}
    if bodies["1b", OURS] != bodies["1b", BARE]:
        raise click.ClickException(f"{BARE}: not the bytes that {OURS} answers")


async def _warm(books: Books, parties: Sequence[Party], client: httpx.AsyncClient) -> None:
    """Let everybody open their connections and prepare their statements before the first round."""
    await check(books, parties, client)
    for party in parties:
        await run_wrk(party.served.address + party.path, party.headers, WARMING)
        await calm(books, party.served)


async def calm(books: Books, served: Served) -> None:
    """Wait until what wrk left unfinished is done: the next measure must not pay for it."""
    connection = await asyncpg.connect(books.url)
    try:
        async with asyncio.timeout(CALMING):
            spent = -1.0
            while served.cpu_seconds() > spent or await connection.fetchval(BUSY):
                spent = served.cpu_seconds()
                await asyncio.sleep(0.1)
    finally:
        await connection.close()


@asynccontextmanager
async def _everybody(books: Books) -> AsyncIterator[dict[str, Served]]:
    """Serve all of them at once; those who are not asked cost nothing."""
    told = {"DATABASE_URL": books.url, "LEDGER": str(books.ledger_id), "TOKEN": books.token}
    running = {OURS: serving.freshledger(books.url, pool_size=CONNECTIONS, pool_timeout=TIMEOUT)}
    for name, command in (commands.PEERS | {BARE: commands.bare}).items():
        port = serving.free_port()
        running[name] = serving.serving(command(port), told, port=port)
    async with AsyncExitStack() as stack:
        served = await asyncio.gather(*map(stack.enter_async_context, running.values()))
        yield dict(zip(running, served, strict=True))


def _lists(books: Books, served: Mapping[str, Served]) -> Iterator[Party]:
    """Return who answers in JSON; the bare handler stands right after freshledger."""
    ledger = f"/ledgers/{books.ledger_id}"
    ours, counted, newest = (
        f"{start}?asset={USUAL_ASSET}"
        for start in (f"/api/v1{ledger}/transactions", f"{ledger}/transactions", f"{ledger}/newest")
    )

    def party(line: str, who: str, path: str, **more: Any) -> Party:  # noqa: ANN401 - of a Party
        token = {"Authorization": f"Bearer {books.token}", "Accept": "application/json"}
        name = more.pop("name", who)
        return Party(line, name, served[who], path, token, rows_of_json, **more)

    yield party("1b", OURS, ours)
    yield party("1b", BARE, newest)
    yield party("2", OURS, ours, again=True)
    yield party("2", BARE, newest, again=True)
    for who in commands.PEERS:
        yield party("1b", who, newest)
        yield party("1a", who, counted)
    yield party("1a", OURS, f"{ours}&totals=1", name=f"{OURS}, its totals besides")


def _pages(books: Books, served: Mapping[str, Served]) -> Iterator[Party]:
    """Return who answers with a page."""
    ledger, asset = f"/ledgers/{books.ledger_id}", f"?asset={USUAL_ASSET}"

    def party(name: str, who: str, path: str, **more: Any) -> Party:  # noqa: ANN401 - of a Party
        given = {"Cookie": f"freshledger={books.session}", "Accept": "text/html"}
        cookie = given | more.pop("headers", {})
        return Party(
            "3", name, served[who], f"{ledger}/{path}{asset}", cookie, rows_of_page, **more
        )

    yield party(OURS, OURS, "transactions")
    yield party(UNCHANGED, OURS, "transactions", headers=BLOCK, again=True)
    yield party("Flask", "Flask", "page")
    yield party(UNCOUNTED, "Flask", "newest-page")


def _ratios(rates: Mapping[tuple[str, str], tuple[float, ...]]) -> list[Measure]:
    """Return the rows of the table: freshledger by each of the others, round by round."""
    ours, unchanged = rates["1b", OURS], rates["3", UNCHANGED]
    named = {name: f"{OURS} : {name}" for name in (*commands.PEERS, BARE, UNCOUNTED)}
    return [
        *(
            ratio("1a", named[who], ours, rates["1a", who], at_least=COUNTING, note=NO_COUNT)
            for who in commands.PEERS
        ),
        *(
            ratio("1b", named[who], ours, rates["1b", who], at_least=least)
            for who, least in NOT_COUNTING.items()
        ),
        ratio("2", named[BARE], rates["2", OURS], rates["2", BARE], at_least=0.9),
        ratio("3", named["Flask"], rates["3", OURS], rates["3", "Flask"], at_least=3.0),
        ratio("3", named[UNCOUNTED], rates["3", OURS], rates["3", UNCOUNTED]),
        ratio("3", f"{UNCHANGED} : Flask", unchanged, rates["3", "Flask"], at_least=10.0),
    ]
