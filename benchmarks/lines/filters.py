"""Line 5: what each filter of the page costs, at the least and at the most rows.

A page of 50 is listed by the function that the page and the API call, on one session, warm: the
newest rows, and those from the middle of the ledger's time. Beside the time that passes stands
what the server's process was at work for it (by the kernel's account, in nanoseconds), without
the part of Python and of whatever else the machine does.
"""

import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median, quantiles

import click
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.bench import FOLDER, Bench
from benchmarks.data import Books
from benchmarks.measures import Measure, on_curve, ratio
from benchmarks.questions import (
    EQUALITIES,
    NEGATIONS,
    NO_MATCH,
    RANGES,
    SEARCHED,
    TEXTS,
    TYPICAL,
)
from benchmarks.rows import USUAL_ASSET
from freshledger.database import Database
from freshledger.settings import Settings
from freshledger.transactions.filters import Paging, TransactionFilter
from freshledger.transactions.lists import list_transactions
from freshledger.transactions.periods import Clock
from freshledger.transactions.totals import get_totals

LINES = ("5",)
PAGE, WARM, TIMES = 50, 7, 12
"""Rows; times unmeasured: from the sixth on PostgreSQL may use a plan made for any value; and
times in each round."""

UTC_CLOCK = Clock.of("UTC")
MIDDLE = "2018-10-01"
PLACES = {"first page": Paging(limit=PAGE), "page in the middle": Paging(limit=PAGE, at=MIDDLE)}


@dataclass(frozen=True, slots=True)
class Reader:
    """A session on a ledger, and the server's process that works for it."""

    books: Books
    session: AsyncSession
    backend: Path

    def worked(self) -> int:
        """Return for how long the server's process has been at work, in nanoseconds."""
        return int(self.backend.read_text().split()[0])


@dataclass(frozen=True, slots=True)
class Asked:
    """What one question took of one reader, each time: in milliseconds; and the rows it shows."""

    name: str
    passed: list[float] = field(default_factory=list)
    worked: list[float] = field(default_factory=list)
    shown: set[int] = field(default_factory=set)


async def measure(bench: Bench) -> list[Measure]:
    """Ask everything; return the worst of each kind, and the curves of four typical filters."""
    size = bench.size
    async with AsyncExitStack() as stack:
        few, many = [
            await stack.enter_async_context(reading(await bench.books(rows)))
            for rows in (size.least_rows, size.most_rows)
        ]
        found = _grown(await _ask_all(bench, EQUALITIES, (few, many)), size.rounds)
        for kind, questions in {"range": RANGES, "text": TEXTS, "negation": NEGATIONS}.items():
            found += _slowest(kind, await _ask_all(bench, questions, (many,)), size.rounds)
        found += [await _walked(many), await _summed(many, size.rounds)]
    return [*found, *await _curves(bench)]


PATIENCE = 300
"""Seconds; the program stops a statement after 30."""


@asynccontextmanager
async def reading(books: Books) -> AsyncIterator[Reader]:
    """Open a session as the program has it, but for its patience: what takes long is told too."""
    settings = Settings(data_dir=FOLDER, statement_timeout=PATIENCE, transaction_timeout=PATIENCE)
    database = Database(settings, books.url)
    try:
        async with database.read() as session:
            process = (await session.execute(text("SELECT pg_backend_pid()"))).scalar_one()
            yield Reader(books, session, Path(f"/proc/{process}/schedstat"))
    finally:
        await database.dispose()


async def ask(reader: Reader, question: str, paging: Paging, asked: Asked) -> None:
    """List the page once, and note what it took."""
    pairs = [tuple(pair.split("=", 1)) for pair in question.split("&") if pair]
    where = TransactionFilter.from_args(pairs)
    before, begin = reader.worked(), time.perf_counter()
    page, _ = await list_transactions(
        reader.session,
        ledger_id=reader.books.ledger_id,
        where=where,
        clock=UTC_CLOCK,
        paging=paging,
    )
    asked.passed.append((time.perf_counter() - begin) * 1000)
    asked.worked.append((reader.worked() - before) / 1_000_000)
    asked.shown.add(len(page.rows))


async def ask_often(
    readers: tuple[Reader, ...], question: str, place: str, rounds: int
) -> tuple[Asked, ...]:
    """Ask all readers by turns; raises ClickException where answers differ."""
    paging, name = PLACES[place], f"{question or 'everything'}, {place}"
    for _ in range(min(WARM, 2 * rounds)):
        for reader in readers:
            await ask(reader, question, paging, Asked(name))
    asked = tuple(Asked(name) for _ in readers)
    for _ in range(TIMES * rounds):
        for reader, one in zip(readers, asked, strict=True):
            await ask(reader, question, paging, one)
    for one in asked:
        if len(one.shown) > 1 or (question in NO_MATCH and one.shown != {0}):
            raise click.ClickException(f"{name} showed {one.shown} rows")
    return asked


async def _ask_all(
    bench: Bench, questions: Iterable[str], readers: tuple[Reader, ...]
) -> list[tuple[Asked, ...]]:
    found = []
    for question in list(questions)[:: bench.size.every]:
        for place in _places(question):
            asked = await ask_often(readers, question, place, bench.size.rounds)
            found.append(asked)
            bench.say(f"{asked[0].name:70}" + "".join(_said(one) for one in asked))
    return found


def _places(question: str) -> tuple[str, ...]:
    """Return where it is asked: nobody goes to a date beside the time they want."""
    dated = "from=" in question or "to=" in question
    return tuple(PLACES)[:1] if dated else tuple(PLACES)


def _said(one: Asked) -> str:
    middle, late = median(one.passed), quantiles(one.passed, n=20)[-1]
    return f"{max(one.shown):4} rows{middle:8.2f} ms{late:8.2f}{median(one.worked):8.2f}"


def _rounds(times: list[float], rounds: int) -> tuple[float, ...]:
    """Return the median of each round's share of the times."""
    share = len(times) // rounds
    return tuple(median(times[n * share : (n + 1) * share]) for n in range(rounds))


def _late(times: list[float], rounds: int) -> tuple[float, ...]:
    """Return what 95 of 100 stay below, leaving out one round's share of the times each time."""
    share = len(times) // rounds
    if rounds == 1:
        return (quantiles(times, n=20)[-1],)
    kept = (times[: n * share] + times[(n + 1) * share :] for n in range(rounds))
    return tuple(quantiles(one, n=20)[-1] for one in kept)


def _grown(found: list[tuple[Asked, ...]], rounds: int) -> list[Measure]:
    """Return the equality that grew the most of those that show as many rows with few rows."""
    alike = [(few, many) for few, many in found if few.shown == many.shown]
    measures = []
    for what, of in (("time", "passed"), ("work of the server", "worked")):
        each = [
            (few, many, _rounds(getattr(few, of), rounds), _rounds(getattr(many, of), rounds))
            for few, many in alike
        ]
        _, many, less, more = max(each, key=lambda one: median(one[3]) / median(one[2]))
        note = (
            f"{many.name}: {median(less):.2f} → {median(more):.2f} ms; of {len(alike)} pages that"
            f" show as many rows at both sizes, {len(found) - len(alike)} others do not"
        )
        name = f"the equality that grew the most, {what}"
        measures.append(ratio("5", name, more, less, at_most=1.5, note=note))
    (slowest,) = _slowest("equality", [(many,) for _, many in found], rounds)
    return [*measures, replace(slowest, at_most=None)]


def _slowest(kind: str, found: list[tuple[Asked, ...]], rounds: int) -> list[Measure]:
    """Return the one of a kind that was the slowest, by what 95 of 100 stay below."""
    slowest = max((one for (one,) in found), key=lambda one: median(_late(one.passed, rounds)))
    note = f"{slowest.name}; p50 {median(slowest.passed):.2f} ms; the slowest of {len(found)}"
    late = _late(slowest.passed, rounds)
    return [Measure("5", f"{kind}: p95 of the slowest", "ms", late, at_most=50, note=note)]


async def _walked(reader: Reader) -> Measure:
    """Return what it takes where no index leads, and there is nothing to be found."""
    asked = Asked(SEARCHED)
    await ask(reader, SEARCHED, PLACES["first page"], asked)
    note = "what is left out is all there is; the program itself stops after 30 s, with 503"
    return Measure("5", f"stated alone: {SEARCHED}", "ms", tuple(asked.passed), note=note)


async def _summed(reader: Reader, rounds: int) -> Measure:
    """Return what it takes to count and sum what half of all rows are in."""
    where = TransactionFilter.from_args([("asset", USUAL_ASSET)])
    ledger, times = reader.books.ledger_id, []
    for _ in range(rounds):
        begin = time.perf_counter()
        sums = await get_totals(reader.session, ledger_id=ledger, where=where, clock=UTC_CLOCK)
        times.append((time.perf_counter() - begin) * 1000)
    note = f"{sums.count:,} rows; on demand, apart from the page"
    return Measure(
        "5", f"stated alone: count and sums of {USUAL_ASSET}", "ms", tuple(times), note=note
    )


async def _curves(bench: Bench) -> list[Measure]:
    """Return the time of typical pages at each size from the least to the most rows."""
    sizes = [bench.size.least_rows]
    while sizes[-1] < bench.size.most_rows:
        sizes.append(sizes[-1] * 10)
    measures = []
    for rows in sizes:
        async with reading(await bench.books(rows)) as reader:
            for question in TYPICAL:
                (asked,) = await ask_often((reader,), question, "first page", bench.size.rounds)
                times = _rounds(asked.passed, bench.size.rounds)
                measures.append(on_curve("5", "rows", question, rows, "ms", times))
    return measures
