"""How much is read for a page of 50 at a million skewed rows: equalities bounded, others printed.

Rows read are those that scans of transactions and their links gave or removed; buffers are
all that the statement touched.
"""

import json

import pytest
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ClauseElement, Executable

from benchmarks.filling import LEDGER, fill
from benchmarks.questions import EQUALITIES, NO_MATCH, OTHERS, PAIRS
from freshledger.database import Database
from freshledger.settings import Settings
from freshledger.transactions import lists
from freshledger.transactions.conditions import parameters_of, shape_of
from freshledger.transactions.filters import Paging, TransactionFilter
from freshledger.transactions.ordering import Order
from freshledger.transactions.periods import Clock

CLOCK = Clock.of("UTC")
ROWS = 1_000_000
PAGE = 50
MOST_ROWS, MOST_BUFFERS = 20 * PAGE, 500
OTHER_ROWS, OTHER_BUFFERS = 2_000, 2_000
"""Of ranges, text and negation."""

REACHED = {
    "contact=4": (2_000, 5_000),
    "contact=4&contact=40": (2_000, 5_000),
    "max_amount=0": (45_000, 3_000),
    "wallet=1&max_amount=0": (6_000, 6_000),
    "q=contacts 4": (4_000, 8_000),
    "not.min_amount=0.002": (45_000, 3_000),
}
"""What needs more: the bounds of rows and buffers are about twice what was measured."""


class Explained(Executable, ClauseElement):
    """EXPLAIN of a statement, which must not be cached in its place."""

    inherit_cache = False

    def __init__(self, statement: ClauseElement) -> None:
        self.statement = statement


@compiles(Explained)
def _explained(element, compiler, **options):
    return "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + compiler.process(
        element.statement, **options
    )


def rows_read(node: dict) -> float:
    """Add up the rows that scans of the big tables gave and removed."""
    read = 0.0
    if node.get("Relation Name") in {"transactions", "transaction_labels"}:
        removed = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
        read = float(node["Actual Rows"]) + sum(node.get(name, 0) for name in removed)
        read *= float(node["Actual Loops"])
    return read + sum(rows_read(child) for child in node.get("Plans", ()))


@pytest.fixture
async def filled(own_database, tmp_path):
    await fill(own_database, ROWS)
    database = Database(Settings(data_dir=tmp_path), own_database)
    yield database
    await database.dispose()


async def test_a_page_reads_little_of_a_million_rows(filled, monkeypatch):
    bounds = dict.fromkeys(EQUALITIES, (MOST_ROWS, MOST_BUFFERS))
    bounds |= dict.fromkeys(OTHERS, (OTHER_ROWS, OTHER_BUFFERS)) | REACHED
    found, broken = {}, []
    async with filled.read() as session:
        for query, (most_rows, most_buffers) in bounds.items():
            rows, buffers, count = await measured(session, query)
            print(  # noqa: T201 - the measured numbers
                f"{query or 'everything':60} {count:3} shown {rows:8.0f} rows {buffers:6} buffers"
            )
            found[query] = count
            if rows > most_rows or buffers > most_buffers:
                broken.append((query, rows, buffers))
    assert not broken
    assert {query for query in NO_MATCH if found[query]} == set()
    assert {query for query in PAIRS if not found[query]} == set()
    await _check_that_the_measure_sees_a_bad_way(filled, monkeypatch)


async def _check_that_the_measure_sees_a_bad_way(database, monkeypatch):
    """Plant a fault: without a way in by label and asset the list searches to the end."""
    monkeypatch.setattr("freshledger.transactions.access._LEADS", ())
    lists._page.cache_clear()
    async with database.read() as session:
        rows, _, _ = await measured(session, "label=3&asset=BTC")
    monkeypatch.undo()
    lists._page.cache_clear()
    assert rows > MOST_ROWS


async def measured(session, query: str) -> tuple[float, int, int]:
    """Return rows read, buffers touched and rows shown for a filter's first page."""
    pairs = [tuple(pair.split("=", 1)) for pair in query.split("&") if pair]
    where = TransactionFilter.from_args(pairs)
    statement = lists._page_of(shape_of(where), Order(by_amount=False, descending=True), PAGE + 1)
    values = {"ledger": LEDGER, "limit": PAGE + 1} | parameters_of(where, CLOCK)
    answer = (await session.execute(Explained(statement), values)).scalar_one()
    plan = (json.loads(answer) if isinstance(answer, str) else answer)[0]["Plan"]
    buffers = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    page, _ = await lists.list_transactions(
        session, ledger_id=LEDGER, where=where, clock=CLOCK, paging=Paging(limit=PAGE)
    )
    return rows_read(plan), buffers, len(page.rows)
