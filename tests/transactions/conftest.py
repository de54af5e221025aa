from collections.abc import Iterator
from dataclasses import dataclass

import asyncpg
import pytest
from quart import has_request_context
from sqlalchemy import event

from freshledger.app import Freshledger


@pytest.fixture
def count_queries(app: Freshledger) -> Iterator[list[str]]:
    """The statements that requests send while the test runs; work beside them goes on.

    The driver tells of those that `database.fetch` reads with, SQLAlchemy of all others.
    """
    sent: list[str] = []

    def note(_connection, _cursor, statement, *_):
        if has_request_context():
            sent.append(statement)

    def note_read(record):
        if has_request_context() and record.query.startswith(("SELECT", "WITH")):
            sent.append(record.query)

    def listen(dbapi_connection, *_):
        dbapi_connection.driver_connection.remove_query_logger(note_read)
        dbapi_connection.driver_connection.add_query_logger(note_read)

    engines = [pool.sync_engine for pool in (app.database._reading, app.database._writing)]
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
        event.listen(engine, "checkout", listen)
    yield sent
    for engine in engines:
        event.remove(engine, "before_cursor_execute", note)
        event.remove(engine, "checkout", listen)


@dataclass(frozen=True)
class Things:
    """What the test's ledger has: a wallet, two labels, a contact with an address."""

    wallet: int
    rent: int
    tax: int
    bob: int
    address: str = "0x" + "b" * 40


@pytest.fixture
async def things(psql: asyncpg.Connection, books) -> Things:
    async def add(table: str, name: str) -> int:
        query = f"INSERT INTO {table} (ledger_id, name) VALUES ($1, $2) RETURNING id"
        return await psql.fetchval(query, books.ledger_id, name)

    wallet, rent, tax = (
        await add("wallets", "Cold"),
        await add("labels", "Rent"),
        await add("labels", "Tax"),
    )
    things = Things(wallet, rent, tax, await add("contacts", "Bob"))
    await psql.execute(
        "INSERT INTO contact_addresses (ledger_id, contact_id, network, address)"
        " VALUES ($1, $2, 'evm', $3)", books.ledger_id, things.bob, things.address,
    )  # fmt: skip
    return things


@pytest.fixture
def movement(things: Things) -> dict:
    """A body that makes a movement."""
    return {
        "wallet_id": things.wallet,
        "occurred_at": "2024-05-01T12:00:00+02:00",
        "type": "send",
        "asset": "ETH",
        "amount": "-0.123456789012345678901234567890",
        "chain": "ethereum",
        "counterparty": things.address.upper().replace("0X", "0x"),
        "note": "rent\u202e for May",
    }
