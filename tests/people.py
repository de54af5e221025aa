"""People at their browsers, for tests about who may do what."""

from dataclasses import dataclass
from itertools import count
from uuid import uuid4

import asyncpg
from quart import Response
from quart.testing import QuartClient

from freshledger.accounts.passwords import hash_password
from freshledger.app import Freshledger
from freshledger.web.context import hash_secret
from freshledger.web.security import csrf_token

PASSWORD = "correct horse battery"
_hosts = count(1)


@dataclass
class Person:
    """Somebody with an account and a browser; `password` is None where they cannot sign in."""

    id: int
    email: str
    client: QuartClient
    secret: str
    address: str

    @property
    def csrf(self) -> str:
        return csrf_token(self.secret)

    async def get(self, path: str, **options) -> Response:
        return await self.client.get(path, **options)

    async def post(self, path: str, form: dict | None = None, **options) -> Response:
        """Send a form of a page of ours."""
        sent = {"csrf_token": self.csrf} | (form or {})
        scope = {"client": (self.address, 1)}
        return await self.client.post(path, form=sent, scope_base=scope, **options)


async def come(
    app: Freshledger, psql: asyncpg.Connection, *, password: str | None = None, admin: bool = False
) -> Person:
    """Somebody new, signed in."""
    email = f"{uuid4().hex[:12]}@example.org"
    hashed = await hash_password(password) if password else None
    user_id = await psql.fetchval(
        "INSERT INTO users (email, name, password_hash, is_admin) VALUES ($1, $2, $3, $4)"
        " RETURNING id",
        email,
        email.partition("@")[0],
        hashed,
        admin,
    )
    person = Person(user_id, email, app.test_client(), uuid4().hex, another_address())
    await psql.execute(
        "INSERT INTO sessions (user_id, token_hash, expires_at)"
        " VALUES ($1, $2, now() + interval '1 day')",
        user_id,
        hash_secret(person.secret),
    )
    person.client.set_cookie("localhost", "freshledger", person.secret)
    return person


async def make_ledger(psql: asyncpg.Connection, **members: Person) -> int:
    """A ledger with a member for each role: owner=…, editor=…, viewer=…."""
    ledger_id = await psql.fetchval("INSERT INTO ledgers (name) VALUES ('Books') RETURNING id")
    for role, person in members.items():
        await share(psql, ledger_id, person, role)
    return ledger_id


async def share(psql: asyncpg.Connection, ledger_id: int, person: Person, role: str) -> None:
    await psql.execute("INSERT INTO members VALUES ($1, $2, $3)", ledger_id, person.id, role)


async def version_of(psql: asyncpg.Connection, ledger_id: int) -> int:
    return await psql.fetchval("SELECT version FROM heads WHERE ledger_id = $1", ledger_id)


def another_address() -> str:
    """An IP address that no other test has: failures are counted by address."""
    number = next(_hosts)
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


async def sign_in(
    app: Freshledger, email: str, password: str, *, address: str | None = None
) -> Response:
    """Sign in from a browser without any cookie."""
    return await app.test_client().post(
        "/login",
        form={"email": email, "password": password},
        scope_base={"client": (address or another_address(), 1)},
    )
