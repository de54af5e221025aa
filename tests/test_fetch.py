"""`database.fetch` goes around SQLAlchemy's cursors: what it must keep of what they do."""

import asyncio
from decimal import Decimal

import asyncpg
import pytest
from msgspec.structs import replace
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Integer,
    Text,
    bindparam,
    column,
    func,
    literal_column,
    select,
    table,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from freshledger.app import Freshledger
from freshledger.database import Database, create_engine, fetch, is_lost, is_retryable, refusal
from freshledger.errors import Busy
from freshledger.settings import Settings
from locked import until_waiting

PID = select(func.pg_backend_pid().label("pid"))
SLEEP = select(func.pg_sleep(bindparam("seconds", type_=Integer())))
SNAPSHOT = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


@pytest.fixture
async def pool(settings: Settings, database_url: str):
    """A database of one reading connection."""
    database = Database(replace(settings, pool_size=1), database_url)
    yield database
    assert database.checked_out == 0
    await database.dispose()


async def test_values_come_to_their_places(pool: Database):
    ids = bindparam("a", type_=ARRAY(BigInteger()))
    statement = select(
        bindparam("b", type_=Text()).label("text"),
        func.array_to_string(ids, ",").label("ids"),
        bindparam("b", type_=Text()).label("again"),
        func.concat("x", bindparam("c", type_=Integer())).label("known"),
    )
    async with pool.read() as session:
        for number in (1, 2):
            values = {"a": [number, 3], "b": f"é{number}", "c": 7}
            (row,) = await fetch(session, statement, values)
            assert tuple(row.values()) == (f"é{number}", f"{number},3", f"é{number}", "x7")
        with pytest.raises(KeyError, match="c"):
            await fetch(session, statement, {"a": [1], "b": "é"})


async def test_columns_are_as_sqlalchemy_gives_them_or_refused(pool: Database):
    exact = select(literal_column("""'{"a": 1.50}'::jsonb""", JSONB()).label("found"))
    array = select(literal_column("'{1}'::int[]", ARRAY(Integer())).label("found"))
    async with pool.read() as session:
        assert (await fetch(session, exact, {}))[0]["found"] == {"a": Decimal("1.50")}
        with pytest.raises(TypeError, match="SQLAlchemy converts it"):
            await fetch(session, array, {})


async def test_a_snapshot_begins_with_the_first_statement(pool: Database, psql, books):
    head = select(column("version")).select_from(table("heads"))
    mine = head.where(column("ledger_id") == bindparam("ledger", type_=BigInteger()))
    seen = []
    async with pool.read() as session:
        await session.connection(execution_options=SNAPSHOT)
        for name in ("first", "second"):
            (row,) = await fetch(session, mine, {"ledger": books.ledger_id})
            seen.append(row["version"])
            await psql.execute(
                "INSERT INTO labels (ledger_id, name) VALUES ($1, $2)", books.ledger_id, name
            )
    assert (
        seen[0]
        == seen[1]
        < await psql.fetchval("SELECT version FROM heads WHERE ledger_id = $1", books.ledger_id)
    )


@pytest.mark.parametrize("options", [{}, SNAPSHOT], ids=["alone", "snapshot"])
async def test_a_timeout_is_told_and_the_connection_stays(
    settings: Settings, database_url: str, options: dict[str, object]
):
    database = Database(replace(settings, pool_size=1, statement_timeout=0.05), database_url)
    async with database.read() as session:
        await session.connection(execution_options=options)
        (before,) = await fetch(session, PID, {})
        with pytest.raises(DBAPIError) as raised:
            await fetch(session, SLEEP, {"seconds": 60})
        refused = refusal(raised.value)
        assert isinstance(refused, Busy)
        assert "took too long" in str(refused)
    async with database.read() as session:
        assert (await fetch(session, PID, {}))[0]["pid"] == before["pid"]
    await database.dispose()


async def test_a_lost_connection_takes_all_of_its_age_along(
    settings: Settings, database_url: str, psql: asyncpg.Connection
):
    """The database was restarted: of all connections in the pool none is met again."""
    database = Database(replace(settings, pool_size=3), database_url)
    lent: list[AsyncConnection] = [await database.looking().start() for _ in range(3)]
    pids = [(await fetch(connection, PID, {}))[0]["pid"] for connection in lent]
    for connection in lent:
        await connection.close()
    await psql.execute("SELECT pg_terminate_backend(pid, 5000) FROM unnest($1::int[]) pid", pids)
    async with database.read() as session:
        with pytest.raises(DBAPIError) as raised:
            await fetch(session, PID, {})
        assert is_lost(raised.value)
        assert is_retryable(raised.value)
        assert isinstance(refusal(raised.value), Busy)
    for _ in range(3):
        async with database.read() as session:
            assert (await fetch(session, PID, {}))[0]["pid"] not in pids
    assert database.checked_out == 0
    await database.dispose()


async def test_who_is_cancelled_leaves_no_busy_connection(pool: Database, psql):
    """It has a cancellation under way, and an answer that nobody will read."""
    lock = select(func.pg_advisory_lock(bindparam("key", type_=BigInteger())))
    pids: list[int] = []

    async def wait() -> None:
        async with pool.read() as session:
            pids.extend(row["pid"] for row in await fetch(session, PID, {}))
            await fetch(session, lock, {"key": 4711})

    await psql.execute("SELECT pg_advisory_lock(4711)")
    waiting = asyncio.create_task(wait())
    await until_waiting(psql)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with pool.read() as session:
        assert (await fetch(session, PID, {}))[0]["pid"] not in pids


async def test_a_migration_is_met_once(own_database: str):
    """What was prepared before is prepared anew; within a snapshot the request is run again."""
    engine, changer = create_engine(own_database), await asyncpg.connect(own_database)
    await changer.execute("CREATE TABLE things (name varchar(9)); INSERT INTO things VALUES ('x')")
    things = select(column("name")).select_from(table("things"))

    async def read(**options: str) -> str:
        async with engine.connect() as connection:
            await connection.execution_options(**options)
            await fetch(connection, PID, {})  # a transaction's first statement is SQLAlchemy's
            return (await fetch(connection, things, {}))[0]["name"]

    for kind in ("int USING 1", "text USING name::text"):
        for options in ({"isolation_level": "AUTOCOMMIT"}, {"isolation_level": "REPEATABLE READ"}):
            assert await read(**options) in {"x", "1", 1}
        await changer.execute(f"ALTER TABLE things ALTER name TYPE {kind}")
        if kind.startswith("int"):
            assert await read(isolation_level="AUTOCOMMIT") == 1
            continue
        with pytest.raises(DBAPIError) as raised:
            await read(isolation_level="REPEATABLE READ")
        assert is_retryable(raised.value)
        assert await read(isolation_level="REPEATABLE READ") == "1"
    await changer.close()
    await engine.dispose()


async def test_the_app_reads_lists_with_it(app: Freshledger):
    """Statements may be long: all of them are kept prepared."""
    async with app.database.looking() as connection:
        raw = await connection.get_raw_connection()
        assert raw.driver_connection._config.max_cacheable_statement_size == 0
