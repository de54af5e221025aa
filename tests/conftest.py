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
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from quart.testing import QuartClient
from sqlalchemy import make_url

from freshledger.app import Freshledger, create_app
from freshledger.database import Database
from freshledger.embedded import EmbeddedServer
from freshledger.schema import upgrade
from freshledger.settings import PREFIX, Settings

for _name in [name for name in os.environ if name.startswith(PREFIX)]:
    del os.environ[_name]

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


def url_of(server: EmbeddedServer, database: str) -> str:
    return make_url(server.url).set(database=database).render_as_string(hide_password=False)


async def execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


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


@asynccontextmanager
async def cloned(server: EmbeddedServer, template: str) -> AsyncIterator[str]:
    name = f"test_{uuid4().hex}"
    admin = url_of(server, "postgres")
    await execute(admin, f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield url_of(server, name)
    finally:
        await execute(admin, f"DROP DATABASE {name} WITH (FORCE)")


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


@dataclass(frozen=True)
class Books:
    """A user who is signed in and their ledger."""

    user_id: int
    email: str
    ledger_id: int
    session_token: str
    csrf_token: str

    @property
    def path(self) -> str:
        return f"/ledgers/{self.ledger_id}"

    @property
    def api(self) -> str:
        return f"/api/v1/ledgers/{self.ledger_id}"


async def make_books(connection: asyncpg.Connection, *, role: str = "owner") -> Books:
    """Make a user with a session and a ledger of their own, straight in the database."""
    from freshledger.web.context import hash_secret  # noqa: PLC0415
    from freshledger.web.security import csrf_token  # noqa: PLC0415

    secret, email = uuid4().hex, f"{uuid4().hex[:12]}@example.org"
    user = await connection.fetchval(
        "INSERT INTO users (email, name) VALUES ($1, 'Ann Example') RETURNING id", email
    )
    ledger = await connection.fetchval("INSERT INTO ledgers (name) VALUES ('Books') RETURNING id")
    await connection.execute("INSERT INTO members VALUES ($1, $2, $3)", ledger, user, role)
    await connection.execute(
        "INSERT INTO sessions (user_id, token_hash, expires_at)"
        " VALUES ($1, $2, now() + interval '1 day')",
        user,
        hash_secret(secret),
    )
    return Books(user, email, ledger, secret, csrf_token(secret))


@pytest.fixture
async def books(psql: asyncpg.Connection) -> Books:
    """This test's own user and ledger."""
    return await make_books(psql)


def signed_in(app: Freshledger, books: Books) -> QuartClient:
    """A browser of that user: it has the cookie, and sends the token with every form."""
    client = app.test_client()
    client.set_cookie("localhost", "freshledger", books.session_token)
    return client


@pytest.fixture
def client(app: Freshledger, books: Books) -> QuartClient:
    return signed_in(app, books)


@pytest.fixture
def csrf(books: Books) -> dict[str, str]:
    """The header that a signed-in browser's scripts send."""
    return {"X-CSRF-Token": books.csrf_token}
