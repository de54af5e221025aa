"""Fills an empty, migrated database with the rows of a measured ledger, as an import leaves it."""

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
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await _make_ledger(connection)
        indexes = await connection.fetch(_INDEXES, list(FILLED))
        for name, _ in indexes:
            await connection.execute(f"DROP INDEX {name}")
        await connection.execute("SET session_replication_role = replica")
        counts = [await _fill_table(connection, table, rows) for table in FILLED]
        await connection.execute("RESET session_replication_role")
        await connection.execute("SET maintenance_work_mem = '1GB'")
        for _, definition in indexes:
            await connection.execute(definition)
        await connection.execute(_NOTE, LEDGER, list(FILLED), counts)
        await connection.execute("VACUUM (ANALYZE)")
    finally:
        await connection.close()


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


async def _fill_table(connection: asyncpg.Connection, table: str, rows: int) -> int:
    """Fill a table by its query; return how many rows it has now."""
    query = FILLED[table]
    columns = [one.name for one in (await connection.prepare(query)).get_attributes()]
    always = [name for (name,) in await connection.fetch(_TRIGGERS, table)]
    await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    done = await connection.execute(f"INSERT INTO {table} ({', '.join(columns)}) {query}", rows)
    for name in always:
        await connection.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")
    if "id" in columns:
        await connection.execute(
            f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}"
        )
    return int(done.split()[-1])
