"""A user who is signed in and a ledger of their own, for any test."""

from dataclasses import dataclass
from uuid import uuid4

import asyncpg
from quart.testing import QuartClient

from freshledger.app import Freshledger
from freshledger.web.context import hash_secret
from freshledger.web.security import csrf_token


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


def signed_in(app: Freshledger, books: Books) -> QuartClient:
    """A browser of that user: it has the cookie, and sends the token with every form."""
    client = app.test_client()
    client.set_cookie("localhost", "freshledger", books.session_token)
    return client
