"""Requests with an idempotency key, and what they made."""

from uuid import uuid4

import asyncpg
from quart.testing import QuartClient

from books import Books
from freshledger.web.idempotency import FIELD, HEADER
from movements import make_rows


def new_key() -> str:
    return uuid4().hex


class Sender:
    """A signed-in browser's script: sends JSON to its ledger, or forms."""

    def __init__(self, client: QuartClient, books: Books) -> None:
        self.client = client
        self.books = books

    async def post(self, path: str, body: dict, key: str | None = None, **options):
        headers = {"X-CSRF-Token": self.books.csrf_token}
        headers |= {HEADER: key} if key is not None else {}
        return await self.client.post(
            f"{self.books.api}{path}", json=body, headers=headers, **options
        )

    async def form(self, path: str, form: dict, key: str | None = None, **options):
        fields = {"csrf_token": self.books.csrf_token} | form
        fields |= {FIELD: key} if key is not None else {}
        return await self.client.post(f"{self.books.path}{path}", form=fields, **options)


async def movement(psql: asyncpg.Connection, books: Books) -> dict:
    """A movement that can be made as often as one likes."""
    wallet = (await make_rows(psql, books, count=0)).wallet
    return {
        "wallet_id": wallet,
        "occurred_at": "2026-01-02T03:04:05Z",
        "type": "receive",
        "asset": "BTC",
        "amount": "1",
    }


async def count_movements(psql: asyncpg.Connection, books: Books) -> int:
    return await psql.fetchval(
        "SELECT count(*) FROM transactions WHERE ledger_id = $1", books.ledger_id
    )
