"""The ledgers that are measured: one database for each number of rows, kept between runs."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import asyncpg
from sqlalchemy import make_url

from benchmarks import rows as generator
from benchmarks.filling import LEDGER, fill
from freshledger.embedded import EmbeddedServer
from freshledger.schema import upgrade
from freshledger.web.context import hash_secret

EMAIL = "reader@example.org"
TOKEN, SESSION = f"fl_{LEDGER}_measured", "measured"
"""Secrets that are none: the same in every run, good for the measured databases alone."""

_GENERATOR = sha256(Path(generator.__file__).read_bytes()).hexdigest()
_PEOPLE = """
WITH reader AS (INSERT INTO users (email, name) VALUES ($2, 'Reader') RETURNING id),
 member AS (INSERT INTO members (ledger_id, user_id, role) SELECT $1, id, 'owner' FROM reader),
 session AS (INSERT INTO sessions (user_id, token_hash, expires_at)
   SELECT id, $3, '2999-01-01T00:00:00Z' FROM reader)
INSERT INTO tokens (ledger_id, user_id, scope, token_hash) SELECT $1, id, 'write', $4 FROM reader
"""


@dataclass(frozen=True, slots=True)
class Books:
    """A database with one ledger of `rows` movements, and who may read and write it.

    `url` (postgresql://…) is for everybody; `token` is for `Authorization: Bearer`, `session` is
    the secret of a browser's session: the cookie `freshledger`.
    """

    url: str
    rows: int
    ledger_id: int
    token: str
    session: str


async def prepare(server: EmbeddedServer, rows: int, say: Callable[[str], None]) -> Books:
    """Return the ledger of so many rows, of the newest schema; it is made where it is not there.

    What it was made by is the database's comment, written at the very end: one that was left
    half-made has none.
    """
    name = f"measured_{rows}"
    url = make_url(server.url).set(database=name).render_as_string(hide_password=False)
    admin = await asyncpg.connect(server.url)
    try:
        if await _comment(admin, name) == _GENERATOR:
            await upgrade(url)
        else:
            begin = time.monotonic()
            say(f"making a ledger of {rows:,} rows")
            await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            await admin.execute(f"CREATE DATABASE {name}")
            await _make(url, rows)
            await admin.execute("CHECKPOINT")
            await admin.execute(f"COMMENT ON DATABASE {name} IS '{_GENERATOR}'")
            size = await admin.fetchval("SELECT pg_database_size($1::text) / 1000000", name)
            say(f"made in {time.monotonic() - begin:.0f} s; {size:,} MB")
    finally:
        await admin.close()
    return Books(url, rows, LEDGER, TOKEN, SESSION)


async def _comment(admin: asyncpg.Connection, name: str) -> str | None:
    return await admin.fetchval(
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = $1", name
    )


async def _make(url: str, rows: int) -> None:
    await upgrade(url)
    await fill(url, rows)
    connection = await asyncpg.connect(url)
    try:
        secrets = hash_secret(SESSION), hash_secret(TOKEN)
        await connection.execute(_PEOPLE, LEDGER, EMAIL, *secrets)
    finally:
        await connection.close()
