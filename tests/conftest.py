"""A real PostgreSQL for every test: one embedded server a run, one database a worker.

Tests commit for real. A test gets its own user and its own ledger in the worker's database,
which is a clone of a template made by the migrations; `own_database` clones another one for
tests that need all of it for themselves.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from quart.testing import QuartClient

from books import Books, make_books, signed_in
from databases import cloned, execute, url_of
from freshledger.app import Freshledger, create_app
from freshledger.database import Database
from freshledger.embedded import EmbeddedServer
from freshledger.schema import upgrade
from freshledger.settings import PREFIX, Settings

for _name in [name for name in os.environ if name.startswith(PREFIX)]:
    del os.environ[_name]

# How long drawing an example takes says how busy the machine is, and nothing about the code.
hypothesis_settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("any machine")

TEMPLATE = "freshledger_template"


@pytest.fixture(scope="session")
def server(testrun_uid: str) -> Iterator[EmbeddedServer]:
    """The run's PostgreSQL, shared by all workers; the last one stops and removes it."""
    folder = Path(tempfile.gettempdir()) / f"freshledger-test-{testrun_uid[:12]}"
    server = EmbeddedServer(folder)
    server.start()
    yield server
    server.stop()
    if not (folder / "pg" / "postmaster.pid").exists():
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
async def template(server: EmbeddedServer) -> str:
    """The name of a database made by the migrations, once a run."""
    with (server.data_dir / "template.lock").open("w") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        done = server.data_dir / "template.done"
        if not done.exists():
            await execute(url_of(server, "postgres"), f"CREATE DATABASE {TEMPLATE}")
            await upgrade(url_of(server, TEMPLATE))
            done.touch()
    return TEMPLATE


@pytest.fixture(scope="session")
async def database_url(server: EmbeddedServer, template: str) -> AsyncIterator[str]:
    """The worker's database."""
    async with cloned(server, template) as url:
        yield url


@pytest.fixture
async def own_database(server: EmbeddedServer, template: str) -> AsyncIterator[str]:
    """A database that this test has for itself."""
    async with cloned(server, template) as url:
        yield url


@pytest.fixture(scope="session")
def settings(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(data_dir=tmp_path_factory.mktemp("data"), database_url=database_url)


@pytest.fixture(scope="session")
async def app(settings: Settings) -> AsyncIterator[Freshledger]:
    """The application, serving, its unhandled errors answered with 500 as in production."""
    app = create_app(settings)
    async with app.test_app():
        yield app


@pytest.fixture
def database(app: Freshledger) -> Database:
    return app.database


@pytest.fixture
async def psql(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection that the application knows nothing of: somebody else's program."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def books(psql: asyncpg.Connection) -> Books:
    """This test's own user and ledger."""
    return await make_books(psql)


@pytest.fixture
def client(app: Freshledger, books: Books) -> QuartClient:
    return signed_in(app, books)


@pytest.fixture
def csrf(books: Books) -> dict[str, str]:
    """The header that a signed-in browser's scripts send."""
    return {"X-CSRF-Token": books.csrf_token}
