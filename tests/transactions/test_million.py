"""How much is read for a page of 50 at a million skewed rows: equalities bounded, others printed.

Rows read are those that scans of transactions and their links gave or removed; buffers are
all that the statement touched.
"""

import json

import asyncpg
import pytest
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ClauseElement, Executable

from freshledger.database import Database
from freshledger.settings import Settings
from freshledger.transactions import lists
from freshledger.transactions.access import Order
from freshledger.transactions.conditions import parameters_of, shape_of
from freshledger.transactions.filters import TransactionFilter
from freshledger.transactions.periods import Clock
from transactions import million

PAGE = 50
MOST_ROWS, MOST_BUFFERS = 20 * PAGE, 500
FRIEND, COIN, OLD, NEVER = million.HOT, million.HOT_COIN, million.OLD_FRIEND, million.NEVER

ALONE = (
    "", "wallet=1", "wallet=8", "wallet=9", "address=0x" + "0" * 39 + "3", f"address={NEVER}",
    f"counterparty={FRIEND}", f"counterparty={OLD}", f"counterparty={NEVER}", "contact=1",
    "contact=2", "contact=3", "contact=40", "type=receive", "type=reward", "type=mint",
    "asset=BTC", "asset=OLD", "asset=RARE", "asset=NOTHING", "asset=0x" + "c" * 37 + "111",
    "chain=bitcoin", "chain=base", "chain=solana", "label=1", "label=2", "label=3", "label=4",
    "label=5", "label=6", "label=none", "status=confirmed", "status=pending", "status=failed",
    "txid=" + "a" * 64,
)  # fmt: skip
OR = (
    "asset=BTC&asset=RARE", "type=fee&type=trade&type=mint", "wallet=8&wallet=1",
    "label=1&label=2&label=4", "contact=1&contact=2", "status=pending&status=failed",
)  # fmt: skip
PAIRS = (
    "asset=BTC&type=receive", "asset=BTC&wallet=1", "wallet=1&type=receive", "label=1&asset=BTC",
    "label=2&wallet=1", "label=5&type=receive", "contact=1&asset=BTC",
    f"counterparty={FRIEND}&asset=ETH", "asset=ETH&chain=base", "wallet=1&status=failed",
    "asset=BTC&from=2016-01-01&to=2016-01-31", "label=1&from=2021-01-01&to=2021-01-31",
)  # fmt: skip
NO_MATCH = (
    "asset=AIR&type=send", "asset=OLD&wallet=1", "asset=BTC&wallet=2", "wallet=1&type=mint",
    "label=3&asset=BTC", "label=1&asset=OLD", "label=1&wallet=8", "label=5&type=send",
    "contact=1&asset=OLD", "contact=2&asset=BTC", "contact=3&asset=AIR",
    f"counterparty={OLD}&asset=BTC", f"counterparty={COIN}&asset=ETH",
    "asset=BTC&chain=ethereum", "wallet=8&status=pending", "asset=OLD&from=2019-01-01",
    "asset=BTC&to=2014-06-01", "label=3&from=2020-01-01",
)  # fmt: skip
REACHED = {
    "from=2018-01-01&to=2018-01-31": (200, 500),
    "min_amount=99.9": (3_000, 4_000),
    "min_amount=99.9&max_amount=99.95": (3_000, 4_000),
    "max_amount=0": (60_000, 6_000),
    "chain=none": (4_000, 1_000),
    f"counterparty={FRIEND[:6]}*": (1_000, 500),
    "counterparty=0xeee*": (1_000, 500),
    "q=salary": (5_000, 2_000),
    "q=xylophone": (5_000, 2_000),
    "q=lunch 77": (10_000, 8_000),
    "q=labels 4": (5_000, 2_000),
    "q=contacts 40": (5_000, 2_000),
    "q=abcdef": (5_000, 2_000),
    "not.asset=BTC": (1_000, 500),
    "not.label=1": (1_000, 800),
    "not.wallet=1": (1_000, 500),
    "not.contact=1": (1_000, 800),
    "not.q=lunch": (1_000, 500),
    "not.type=receive&not.type=send": (2_000, 800),
}
"""Ranges, text and negation: the bounds of rows and buffers are about twice what was measured."""


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
    connection = await asyncpg.connect(own_database)
    ledger = await connection.fetchval("INSERT INTO ledgers (name) VALUES ('Big') RETURNING id")
    ids = await million.fill(connection, ledger)
    await connection.close()
    assert ids["wallets"][0] == ids["labels"][0] == ids["contacts"][0] == 1
    database = Database(Settings(data_dir=tmp_path), own_database)
    yield database, ledger
    await database.dispose()


async def test_a_page_reads_little_of_a_million_rows(filled, monkeypatch):
    database, ledger = filled
    bounds = dict.fromkeys((*ALONE, *OR, *PAIRS, *NO_MATCH), (MOST_ROWS, MOST_BUFFERS)) | REACHED
    found, broken = {}, []
    async with database.read() as session:
        for query, (most_rows, most_buffers) in bounds.items():
            rows, buffers, count = await measured(session, ledger, query)
            print(  # noqa: T201 - the measured numbers
                f"{query or 'everything':60} {count:3} shown {rows:8.0f} rows {buffers:6} buffers"
            )
            found[query] = count
            if rows > most_rows or buffers > most_buffers:
                broken.append((query, rows, buffers))
    assert not broken
    assert {query for query in NO_MATCH if found[query]} == set()
    assert {query for query in PAIRS if not found[query]} == set()
    await _check_that_the_measure_sees_a_bad_way(database, ledger, monkeypatch)


async def _check_that_the_measure_sees_a_bad_way(database, ledger, monkeypatch):
    """Plant a fault: without a way in by label and asset the list searches to the end."""
    monkeypatch.setattr("freshledger.transactions.access._LEADS", ())
    lists._page.cache_clear()
    async with database.read() as session:
        rows, _, _ = await measured(session, ledger, "label=3&asset=BTC")
    monkeypatch.undo()
    lists._page.cache_clear()
    assert rows > MOST_ROWS


async def measured(session, ledger: int, query: str) -> tuple[float, int, int]:
    """Return rows read, buffers touched and rows shown for a filter's first page."""
    pairs = [tuple(pair.split("=", 1)) for pair in query.split("&") if pair]
    where = TransactionFilter.from_args(pairs)
    statement = lists._page(shape_of(where), Order(by_amount=False, descending=True))
    values = {"ledger": ledger, "limit": PAGE + 1} | parameters_of(where, Clock.of("UTC"))
    answer = (await session.execute(Explained(statement), values)).scalar_one()
    plan = (json.loads(answer) if isinstance(answer, str) else answer)[0]["Plan"]
    buffers = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    shown = (await session.execute(statement, values)).all()
    return rows_read(plan), buffers, sum(row.id is not None for row in shown)
