"""The API's list holds one connection of the pool, its session's, and gives it back."""

from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from books import Books, signed_in
from freshledger.app import Freshledger, create_app
from freshledger.settings import Settings
from freshledger.web.session import UnitOfWork
from scopes import scope
from stepping import Steps, cancel, counting, disconnect, request_leaving


@pytest.fixture
async def narrow(settings: Settings) -> AsyncIterator[Freshledger]:
    """The application, with a pool of one connection that nobody waits for."""
    app = create_app(replace(settings, pool_size=1, pool_timeout=0.2))
    async with app.test_app():
        yield app
        assert app.database.checked_out == 0


def listed(books: Books) -> str:
    return f"/api/v1/ledgers/{books.ledger_id}/transactions"


async def test_one_connection_is_enough(narrow: Freshledger, books: Books):
    """Also for totals, which are read in a snapshot."""
    client = signed_in(narrow, books)
    for query, status in (
        ("", 200), ("?totals=1", 200), ("?asset=BTC", 200), ("?limit=1", 422), ("?nothing=1", 422),
    ):  # fmt: skip
        response = await client.get(listed(books) + query)
        assert response.status_code == status, await response.get_data(as_text=True)
        assert narrow.database.checked_out == 0
    elsewhere = await client.get("/api/v1/ledgers/999999999/transactions")
    assert (elsewhere.status_code, narrow.database.checked_out) == (404, 0)


async def test_the_connection_is_that_of_the_sessions_transaction(narrow: Freshledger):
    """What is kept of it ends with the transaction: a snapshot's is asked for anew."""
    unit = UnitOfWork(narrow.database, writes=False)
    assert await unit.connection() is await unit.session.connection()
    await unit.begin_snapshot()
    assert await unit.connection() is await unit.session.connection()
    assert await (await unit.connection()).get_isolation_level() == "REPEATABLE READ"
    await unit.close()
    assert await unit.connection() is await unit.session.connection()
    await unit.close()


@pytest.mark.parametrize("half", [True, False], ids=["half a body", "whole"])
@pytest.mark.parametrize("query", [b"", b"totals=1"], ids=["list", "totals"])
@pytest.mark.parametrize("act", [cancel(1), cancel(3), disconnect], ids=["once", "thrice", "gone"])
async def test_leaving_at_every_await(narrow: Freshledger, books: Books, act, query, half):
    """The connection is free as soon as the request is over, and serves the next one."""
    client = signed_in(narrow, books)
    cookie = {"Cookie": f"freshledger={books.session_token}"}
    asked = scope("GET", listed(books), cookie) | {"query_string": query}
    at, reached = 0, True
    with counting():
        while reached:
            at += 1
            went = await request_leaving(narrow, asked, Steps(at, act), half=half)
            assert (went.held, went.left) == (0, []), f"at await {at}"
            reached = went.reached
            assert (await client.get(listed(books))).status_code == 200, f"after await {at}"
    assert went.acknowledged
    assert at > 6


async def test_a_stranger_takes_none(narrow: Freshledger, books: Books):
    async with narrow.database.looking():
        answer = await narrow.test_client().get(listed(books))
    assert answer.status_code == 401
