"""A few movements of one wallet, written as somebody else's program would."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import asyncpg

from books import Books

START = datetime(2024, 3, 1, 12, tzinfo=UTC)
ANN = "0x52908400098527886e0f7030069857d2e4169ee7"


@dataclass(frozen=True)
class Rows:
    """A wallet and its movements' ids, the oldest first."""

    wallet: int
    ids: list[int]


async def make_rows(psql: asyncpg.Connection, books: Books, count: int = 3) -> Rows:
    """Make `count` movements a day apart: out and in by turns, all with Ann."""
    wallet = await psql.fetchval(
        "INSERT INTO wallets (ledger_id, name) VALUES ($1, 'Main') RETURNING id", books.ledger_id
    )
    ids = [await make_row(psql, books, wallet, number) for number in range(count)]
    return Rows(wallet, ids)


async def make_row(
    psql: asyncpg.Connection, books: Books, wallet: int, number: int, **columns
) -> int:
    """Make one movement; `columns` are set instead of what the number gives."""
    values = {
        "ledger_id": books.ledger_id,
        "wallet_id": wallet,
        "chain": "ethereum",
        "txid": f"0x{number:064x}",
        "group_key": f"0x{number:064x}",
        "identity": f"test:{number}:{len(columns)}",
        "occurred_at": START + timedelta(days=number),
        "type": "send" if number % 2 else "receive",
        "asset": "ETH",
        "amount": Decimal(-1 if number % 2 else 1) * (number + 1),
        "counterparty": ANN,
    } | columns
    places = ", ".join(f"${place}" for place in range(1, len(values) + 1))
    return await psql.fetchval(
        f"INSERT INTO transactions ({', '.join(values)}) VALUES ({places}) RETURNING id",
        *values.values(),
    )
