"""Fills an empty, migrated database with the rows of a measured ledger, as an import leaves it."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg

from benchmarks.rows import ADDRESSES, LINKS, NAMED, TRANSACTIONS

LEDGER = 1
FILLED = {"transactions": TRANSACTIONS, "transaction_labels": LINKS}

_INDEXES = """
SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
AND tablename = ANY ($1) AND indexname LIKE 'ix!_%' ESCAPE '!' ORDER BY indexname
"""
_TRIGGERS = """
SELECT tgname FROM pg_trigger WHERE tgrelid = $1::text::regclass AND NOT tgisinternal
AND tgenabled = 'A'
"""
_NOTE = """
INSERT INTO changes (ledger_id, tx, actor, table_name, operation, count)
SELECT $1::bigint, touch($1), actor(), name, 'I', count FROM unnest($2::text[], $3::bigint[]) t (name, count)
"""


async def fill(url: str, rows: int) -> None:
    """Make the ledger with so many rows in the empty database at `url`.

    Rows come before indexes, without triggers; one version tells of them all, as of an import.
    """
    connection, source = await asyncpg.connect(url), await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await _make_ledger(connection)
        indexes = await connection.fetch(_INDEXES, list(FILLED))
        for name, _ in indexes:
            await connection.execute(f"DROP INDEX {name}")
        await connection.execute("SET session_replication_role = replica")
        counts = [await _copy(source, connection, table, rows) for table in FILLED]
        await connection.execute("RESET session_replication_role")
        await connection.execute("SET maintenance_work_mem = '1GB'")
        for _, definition in indexes:
            await connection.execute(definition)
        await connection.execute(_NOTE, LEDGER, list(FILLED), counts)
        await connection.execute("VACUUM (ANALYZE)")
    finally:
        await connection.close()
        await source.close()


async def _make_ledger(connection: asyncpg.Connection) -> None:
    await connection.execute("INSERT INTO ledgers (name) VALUES ('Books')")
    for table, count in NAMED.items():
        await connection.execute(
            f"INSERT INTO {table} (ledger_id, name) SELECT $1::bigint, '{table} ' || n"
            " FROM generate_series(1, $2::int) n",
            LEDGER,
            count,
        )
    await connection.execute(ADDRESSES)


async def _copy(
    source: asyncpg.Connection, target: asyncpg.Connection, table: str, rows: int
) -> int:
    """Copy what the table's query makes on one connection in on the other; return how many."""
    query = FILLED[table]
    columns = [one.name for one in (await source.prepare(query)).get_attributes()]
    chunks: asyncio.Queue[bytes] = asyncio.Queue(64)

    async def incoming() -> AsyncIterator[bytes]:
        while chunk := await chunks.get():
            yield chunk

    async def outgoing() -> None:
        await source.copy_from_query(query, rows, output=chunks.put, format="binary")
        await chunks.put(b"")

    always = [name for (name,) in await target.fetch(_TRIGGERS, table)]
    await target.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    async with asyncio.TaskGroup() as group:
        group.create_task(outgoing())
        done = group.create_task(
            target.copy_to_table(table, source=incoming(), columns=columns, format="binary")
        )
    for name in always:
        await target.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")
    if "id" in columns:
        await target.execute(
            f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}"
        )
    return int(done.result().split()[1])
