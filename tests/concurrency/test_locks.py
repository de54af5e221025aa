"""Who waits for whom: nobody for a long import, none for ever, and nobody for nothing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest

from ledger import Ledger, look, made, make_ledger, version_of

Connect = Callable[[], "asyncio.Future[asyncpg.Connection]"]


@pytest.fixture
async def connect(own_database: str) -> AsyncIterator[Connect]:
    """Open a connection; all are closed in the end."""
    opened: list[asyncpg.Connection] = []

    async def connect() -> asyncpg.Connection:
        opened.append(await asyncpg.connect(own_database))
        await opened[-1].execute("SET lock_timeout = '10s'; SET deadlock_timeout = '50ms'")
        return opened[-1]

    yield connect
    for connection in opened:
        connection.terminate()


@pytest.fixture
async def db(connect: Connect):
    return await connect()


async def waiting(db, number: int) -> None:
    """Return once `number` of this database's connections wait for a lock."""
    blocked = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND cardinality(pg_blocking_pids(pid)) > 0"
    )
    async with asyncio.timeout(10):
        while await db.fetchval(blocked) < number:
            pass


RENAME = "UPDATE labels SET name = name || '!' WHERE ledger_id = $1 AND id = $2"


async def test_small_edits_do_not_wait_for_an_import(connect, db, ledger: Ledger):
    importing = await connect()
    transaction = importing.transaction()
    await transaction.start()
    await importing.execute("SELECT set_config('freshledger.import', '1', true)")
    await importing.execute(
        "INSERT INTO transactions (ledger_id, wallet_id, group_key, identity, occurred_at, type,"
        " asset, amount) SELECT $1, $2, n, n, now(), 'receive', 'BTC', n"
        " FROM generate_series(1, 5000) n",
        ledger.id,
        ledger.wallet,
    )
    await db.execute("SET lock_timeout = '200ms'")
    for label in ledger.labels * 4:
        await db.execute(RENAME, ledger.id, label)
    assert await version_of(db, ledger.id) == 22
    await transaction.commit()
    assert await made(db, ledger.id, 22) == [("transactions", "I", 5000)]


async def in_both_orders(connect, ledger: Ledger, other: Ledger) -> list[object]:
    """Two transactions change two ledgers, the other way round, and commit while both wait."""
    holder, watcher = await connect(), await connect()
    holding = holder.transaction()
    await holding.start()
    low, high = sorted((ledger, other), key=lambda one: one.id)
    await holder.execute("SELECT FROM heads WHERE ledger_id = $1 FOR UPDATE", low.id)
    commits = []
    for place, order in enumerate([(low, high), (high, low)]):
        connection = await connect()
        transaction = connection.transaction()
        await transaction.start()
        for one in order:
            await connection.execute(RENAME, one.id, one.labels[place])
        commits.append(asyncio.create_task(transaction.commit()))
        await waiting(watcher, place + 1)
    await holding.rollback()
    return await asyncio.gather(*commits, return_exceptions=True)


async def test_two_ledgers_in_opposite_orders(connect, db, ledger: Ledger, other: Ledger):
    assert await in_both_orders(connect, ledger, other) == [None, None]
    for one in (ledger, other):
        assert await version_of(db, one.id) == 4
        assert not (await look(db, one.id)).faults


async def test_stamps_in_the_order_of_the_statements_would_deadlock(
    connect, db, ledger: Ledger, other: Ledger
):
    await db.execute(
        "CREATE OR REPLACE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " PERFORM stamp_ledger(NEW.ledger_id, NEW.tx); RETURN NULL; END $$"
    )
    kinds = {type(result) for result in await in_both_orders(connect, ledger, other)}
    assert asyncpg.DeadlockDetectedError in kinds


async def test_repeatable_read_writers_are_refused(connect, db, ledger: Ledger):
    """They would give a version that others have given: the second one fails, whole."""
    writer = await connect()
    transaction = writer.transaction(isolation="repeatable_read")
    await transaction.start()
    await writer.execute(RENAME, ledger.id, ledger.labels[0])
    await db.execute(RENAME, ledger.id, ledger.labels[1])
    with pytest.raises(asyncpg.SerializationError):
        await transaction.commit()
    assert await made(db, ledger.id, 2) == [("labels", "U", 1)]


async def gone(db, ledger: Ledger) -> bool:
    counts = [
        await db.fetchval(f"SELECT count(*) FROM {table} WHERE ledger_id = $1", ledger.id)
        for table in ("heads", "revisions", "changes", "labels", "transactions")
    ]
    return not any(counts)


DELETE = "DELETE FROM ledgers WHERE id = $1"
ADD = "INSERT INTO labels (ledger_id, name) VALUES ($1, $2)"


async def test_deleting_a_ledger_waits_for_its_writer(connect, db, ledger: Ledger):
    writer, deleter = await connect(), await connect()
    transaction = writer.transaction()
    await transaction.start()
    await writer.execute(ADD, ledger.id, "new")
    deleting = asyncio.create_task(deleter.execute(DELETE, ledger.id))
    await waiting(db, 1)
    await writer.execute(RENAME, ledger.id, ledger.labels[0])
    await transaction.commit()
    assert await deleting == "DELETE 1"
    assert await gone(db, ledger)


async def test_writing_to_a_ledger_that_is_being_deleted(connect, db, ledger: Ledger):
    writers = [await connect() for _ in range(3)]
    deleter = await connect()
    transaction = deleter.transaction()
    await transaction.start()
    await deleter.execute(DELETE, ledger.id)
    pending = [
        asyncio.create_task(writers[0].execute(ADD, ledger.id, "new")),
        asyncio.create_task(writers[1].execute(RENAME, ledger.id, ledger.labels[0])),
        asyncio.create_task(writers[2].execute("DELETE FROM contacts WHERE ledger_id = $1", ledger.id)),
    ]  # fmt: skip
    await waiting(db, 3)
    await transaction.commit()
    added, renamed, deleted = await asyncio.gather(*pending, return_exceptions=True)
    assert isinstance(added, asyncpg.ForeignKeyViolationError)
    assert (renamed, deleted) == ("UPDATE 0", "DELETE 0")
    assert await gone(db, ledger)


async def write_to_all(connection, ledgers: list[Ledger], number: int) -> set[str]:
    """Write to each ledger a few times; return how it went."""
    outcomes = set()
    for ledger in ledgers:
        for turn in range(8):
            try:
                await connection.execute(ADD, ledger.id, f"{number}.{turn}")
                await connection.execute(RENAME, ledger.id, ledger.labels[number])
                outcomes.add("done")
            except asyncpg.ForeignKeyViolationError:
                outcomes.add("refused")
            except asyncpg.DeadlockDetectedError:
                outcomes.add("run again")
    return outcomes


async def delete_all(connection, ledgers: list[Ledger]) -> None:
    """Delete each ledger; again after a deadlock, as a unit of work does."""
    left = list(ledgers)
    while left:
        with contextlib.suppress(asyncpg.DeadlockDetectedError):
            await connection.execute(DELETE, left[0].id)
            left.pop(0)


async def test_deleting_ledgers_beside_writers(connect, db):
    """At any moment: each write is done before, or refused; nothing is left of the ledgers."""
    ledgers = [await make_ledger(db, rows=5, contacts=1) for _ in range(6)]
    kept = await make_ledger(db, rows=5, contacts=1)
    writing = [write_to_all(await connect(), [*ledgers, kept], number) for number in range(3)]
    *outcomes, _ = await asyncio.gather(*writing, delete_all(await connect(), ledgers))
    assert "done" in set().union(*outcomes)
    for ledger in ledgers:
        assert await gone(db, ledger)


async def edit_many(db, ledger: Ledger, *, seconds: int) -> None:
    """Edit one row often enough that the plans are kept, then 100,000 at once."""
    await db.execute("SELECT set_config('freshledger.actor', 'user:1', false)")
    await db.execute("SET plan_cache_mode = force_generic_plan")
    for label in ledger.labels:
        await db.execute(RENAME, ledger.id, label)
    add = "INSERT INTO labels (ledger_id, name) SELECT $1, n FROM generate_series(1, 100000) n"
    await db.execute(add, ledger.id)
    await db.execute(f"SET statement_timeout = '{seconds}s'")
    await db.execute("UPDATE labels SET color = 'red' WHERE ledger_id = $1", ledger.id)


async def test_a_kept_plan_serves_many_rows(db, ledger: Ledger):
    await edit_many(db, ledger, seconds=60)
    counts = [count for _, operation, count in await made(db, ledger.id, 8) if operation == "U"]
    assert sum(counts) == 100005


async def test_a_kept_plan_of_nested_loops_would_not(db, ledger: Ledger):
    for table in ("labels", "ledgers", "heads", "changes", "revisions"):  # ANALYZE drops plans
        await db.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
    await db.execute("ALTER FUNCTION note_labels() RESET enable_nestloop")
    with pytest.raises(asyncpg.QueryCanceledError):
        await edit_many(db, ledger, seconds=10)
