"""The same on the oldest PostgreSQL we promise: migrations, triggers, pages, and freshness.

Uses Debian's postgresql-15; where that is not installed, these tests are skipped.
"""

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from alembic import command
from sqlalchemy import text
from test_reads import test_gets_move_no_version  # noqa: F401 - the same, on another server
from test_statements import *  # noqa: F403 - all of them, on another server
from test_versions import Run

from freshledger.app import Freshledger
from freshledger.embedded.programs import account_for, as_account, give
from freshledger.imports import exporting
from freshledger.schema import alembic_config, upgrade
from ledger import Ledger, let_in, make_ledger

BINARIES = Path("/usr/lib/postgresql/15/bin")
pytestmark = pytest.mark.skipif(
    not BINARIES.is_dir(), reason="PostgreSQL 15 is not installed (apt install postgresql-15)"
)


@pytest.fixture(scope="session")
def server15() -> Iterator[str]:
    """A private cluster in a temporary folder; its address without a database's name."""
    folder = Path(tempfile.mkdtemp(prefix="freshledger-15-"))
    account = account_for(folder)
    give(folder, account)
    options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
    control = [BINARIES / "pg_ctl", "-D", folder / "pg", "-w", "-s", "-l", folder / "log"]
    initdb = [BINARIES / "initdb", "-D", folder / "pg", "-U", "postgres", "-A", "trust", "-N",
              "-E", "UTF8", "--locale=C.UTF-8"]  # fmt: skip

    def run(*command: object) -> None:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **as_account(account))

    run(*initdb)
    run(*control, "-o", options, "start")
    yield f"postgresql://postgres@/{{}}?host={folder}"
    run(*control, "-m", "immediate", "stop")
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
async def template15(server15: str) -> str:
    admin = await asyncpg.connect(server15.format("postgres"))
    await admin.execute("CREATE DATABASE migrated")
    await admin.close()
    await upgrade(server15.format("migrated"))
    return "migrated"


@pytest.fixture
async def own_database(server15: str, template15: str) -> AsyncIterator[str]:
    name = f"test_{uuid4().hex}"
    admin = await asyncpg.connect(server15.format("postgres"))
    await admin.execute(f"CREATE DATABASE {name} TEMPLATE {template15}")
    yield server15.format(name)
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


async def test_it_is_15(db):
    assert (await db.fetchval("SHOW server_version")).startswith("15.")


async def test_migrations(own_database: str):
    config = alembic_config(own_database)
    await asyncio.to_thread(command.check, config)
    await asyncio.to_thread(command.downgrade, config, "base")
    await asyncio.to_thread(command.upgrade, config, "head")
    await asyncio.to_thread(command.check, config)


async def test_versions(db, own_database: str):
    history = await Run(own_database, await make_ledger(db, rows=40, labels=8)).run()
    assert not history.violations()
    assert len(history.writes) > 200


async def test_a_write_is_on_the_next_page(site: Freshledger, db, ledger: Ledger):
    """Whoever wrote it: the application, or somebody in psql."""
    client = site.test_client()
    _, headers = await let_in(db, ledger, scope="write")
    path = f"/api/v1/ledgers/{ledger.id}/labels"
    written = await client.post(path, json={"name": "by the app"}, headers=headers)
    assert written.status_code == 201
    assert "by the app" in await (await client.get(path, headers=headers)).get_data(as_text=True)
    await db.execute("UPDATE labels SET name = 'by psql' WHERE name = 'by the app'")
    assert "by psql" in await (await client.get(path, headers=headers)).get_data(as_text=True)


async def test_snapshots_have_an_end(site: Freshledger):
    """There is no transaction_timeout yet: statements and pauses are bounded."""
    async with site.database.read() as session:
        await exporting.begin_snapshot(session)
        for name, value in (
            ("statement_timeout", "1h"),
            ("idle_in_transaction_session_timeout", "5min"),
        ):
            assert (await session.execute(text(f"SHOW {name}"))).scalar_one() == value
    async with site.database.read() as session:
        for name in ("statement_timeout", "idle_in_transaction_session_timeout"):
            assert (await session.execute(text(f"SHOW {name}"))).scalar_one() == "30s"
