"""Migrations: up, down, twice at once, never waiting for long; and dumps that keep everything."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from freshledger.embedded import EmbeddedServer, tool
from freshledger.models import Base
from freshledger.schema import alembic_config, upgrade
from ledger import Ledger, link, look, made, make_ledger, version_of

TABLES = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
FUNCTIONS = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
TRIGGERS = """
SELECT tgrelid::regclass::text, tgname::text, tgenabled, pg_get_triggerdef(oid)
FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2
"""


@pytest.fixture
async def empty_database(server: EmbeddedServer) -> AsyncIterator[str]:
    """A database with nothing in it."""
    name = f"test_{uuid4().hex}"
    admin = await asyncpg.connect(
        make_url(server.url).set(database="postgres").render_as_string(hide_password=False)
    )
    await admin.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    yield make_url(server.url).set(database=name).render_as_string(hide_password=False)
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


async def fetch(url: str, query: str) -> list[tuple]:
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


async def downgrade(url: str, revision: str) -> None:
    await asyncio.to_thread(command.downgrade, alembic_config(url), revision)


async def check(url: str) -> None:
    """Raise CommandError if models and migrations differ."""
    await asyncio.to_thread(command.check, alembic_config(url))


async def test_models_equal_migrations(own_database: str):
    await check(own_database)


async def test_a_difference_is_caught(own_database: str):
    await fetch(own_database, "ALTER TABLE labels ADD COLUMN planted int")
    with pytest.raises(command.util.CommandError, match="planted"):
        await check(own_database)


async def test_down_and_up_again(own_database: str):
    before = await fetch(own_database, TRIGGERS)
    await downgrade(own_database, "base")
    assert await fetch(own_database, TABLES) == [(1,)]
    assert await fetch(own_database, FUNCTIONS) == [(0,)]
    await upgrade(own_database)
    await check(own_database)
    assert await fetch(own_database, TRIGGERS) == before


async def test_down_and_up_with_rows(own_database: str):
    """Each migration after the triggers keeps the rows, and gives no ledger a version."""
    db = await asyncpg.connect(own_database)
    ledger = await make_ledger(db)
    await link(db, ledger)
    rows = "SELECT id, amount, note FROM transactions ORDER BY id"
    before = await db.fetch(rows), await version_of(db, ledger.id)
    await downgrade(own_database, "0002")
    await upgrade(own_database)
    await db.reload_schema_state()
    assert (await db.fetch(rows), await version_of(db, ledger.id)) == before
    assert await db.fetchval("SELECT count(*) FROM transaction_labels") == 20
    assert not (await look(db, ledger.id)).faults
    await db.close()


UPGRADE = """
import asyncio, sys
from freshledger.schema import upgrade
asyncio.run(upgrade(sys.argv[1]))
"""


async def test_upgrades_at_once(empty_database: str):
    """Several programs start at once on a new database: one migrates, the others wait for it."""
    start = [sys.executable, "-c", UPGRADE, empty_database]
    programs = [await asyncio.create_subprocess_exec(*start) for _ in range(3)]
    assert await asyncio.gather(*(program.wait() for program in programs)) == [0, 0, 0]
    newest = ScriptDirectory.from_config(alembic_config("")).get_current_head()
    assert await fetch(empty_database, "SELECT * FROM alembic_version") == [(newest,)]
    await check(empty_database)


async def test_a_migration_gives_up_rather_than_block_others(own_database: str):
    """What came before it is whole: the next try goes on from there."""
    reader = await asyncpg.connect(own_database)
    transaction = reader.transaction()
    await transaction.start()
    for table in Base.metadata.tables:
        await reader.execute(f"SELECT FROM {table}")
    with pytest.raises(DBAPIError, match="lock timeout"):
        await downgrade(own_database, "base")
    await transaction.rollback()
    await reader.close()
    # The newest one that locks a table; 0011 does not, and was undone.
    assert await fetch(own_database, "SELECT * FROM alembic_version") == [("0010",)]
    await upgrade(own_database)
    await check(own_database)


def run(program: str, url: str, *arguments: str, **options) -> str:
    """Run one of PostgreSQL's programs against the database at `url`."""
    done = subprocess.run(
        [tool(program), "--dbname", url, *arguments],
        env=os.environ | {"PGOPTIONS": ""},
        check=True,
        capture_output=True,
        text=True,
        **options,
    )
    return done.stdout


VERSIONS = """
SELECT h.ledger_id, h.version, h.tx, r.version, r.tx, r.at, c.part, c.ids, c.before, c.after
FROM heads h JOIN revisions r USING (ledger_id)
LEFT JOIN changes c ON c.ledger_id = r.ledger_id AND c.tx = r.tx
ORDER BY h.ledger_id, r.version, c.part
"""


@pytest.mark.parametrize("form", ["custom", "plain", "in sections"])
async def test_dump_and_restore(form: str, own_database: str, empty_database: str, tmp_path):
    db = await asyncpg.connect(own_database)
    ledger: Ledger = await make_ledger(db)
    await link(db, ledger)
    await db.close()
    file = str(tmp_path / "dump")
    await asyncio.to_thread(dump_and_restore, form, own_database, empty_database, file)
    for query in (VERSIONS, TRIGGERS):
        assert await fetch(empty_database, query) == await fetch(own_database, query)
    restored = await asyncpg.connect(empty_database)
    assert not (await look(restored, ledger.id)).faults
    await restored.execute("UPDATE labels SET color = 'red' WHERE ledger_id = $1", ledger.id)
    assert await made(restored, ledger.id, 3) == [("labels", "U", 5)]
    assert not (await look(restored, ledger.id)).faults
    await restored.close()


def dump_and_restore(form: str, source: str, target: str, file: str) -> None:
    if form == "custom":
        run("pg_dump", source, "--format=custom", "--file", file)
        run("pg_restore", target, "--exit-on-error", file)
    elif form == "plain":
        run("pg_dump", source, "--file", file)
        run("psql", target, "--quiet", "--set=ON_ERROR_STOP=1", "--file", file)
    else:
        run("pg_dump", source, "--format=custom", "--file", file)
        run("pg_restore", target, "--exit-on-error", "--section=pre-data", file)
        run("pg_restore", target, "--exit-on-error", "--section=data", file)
        run("pg_restore", target, "--exit-on-error", "--section=post-data", file)
