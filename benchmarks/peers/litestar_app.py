"""Litestar with advanced-alchemy's repository and msgspec, an async session on asyncpg, on granian.

Counting is by a second query, which the repository offers beside a window function: it is the
faster of the two where half of the rows are counted.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from advanced_alchemy.extensions.litestar import (
    EngineConfig,
    SQLAlchemyAsyncConfig,
    SQLAlchemyPlugin,
)
from advanced_alchemy.filters import LimitOffset, OrderBy
from advanced_alchemy.repository import SQLAlchemyAsyncRepository
from litestar import Litestar, Request, get
from litestar.di import Provide
from litestar.exceptions import NotAuthorizedException
from litestar.params import Parameter
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.peers import tables
from benchmarks.peers.tables import Transaction

NEWEST = (OrderBy("occurred_at", "desc"), OrderBy("id", "desc"))


class Transactions(SQLAlchemyAsyncRepository[Transaction]):
    """The repository of movements."""

    model_type = Transaction


class LabelOut(Struct):
    """What is answered of a label."""

    id: int
    name: str
    color: str


class TransactionOut(Struct):
    """What is answered of a movement."""

    id: int
    wallet: str
    wallet_id: int
    own_address: str | None
    chain: str | None
    txid: str | None
    group_key: str
    occurred_at: datetime
    type: str
    status: str
    asset: str
    contract: str | None
    amount: Decimal
    counterparty: str | None
    contact: str | None
    contact_id: int | None
    contact_by_hand: bool
    labels: list[LabelOut]
    note: str
    fiat_value: Decimal | None
    fiat_currency: str | None
    hand_edited: list[str]
    version: int


class NewestOut(Struct, kw_only=True):
    """A page of the list."""

    version: int
    items: list[TransactionOut]
    limit: int
    offset: int


class TransactionsOut(NewestOut, kw_only=True):
    """A page of the list, and how many rows there are."""

    total: int


async def provide_transactions(db_session: AsyncSession) -> Transactions:
    """Give a request the repository."""
    return Transactions(session=db_session)


async def provide_page(
    offset: int = 0, limit: int = Parameter(default=tables.ROWS, ge=1, le=500)
) -> LimitOffset:
    """Give a request its place in the list."""
    return LimitOffset(limit, offset)


async def find_version(
    ledger_id: int, db_session: AsyncSession, request: Request[object, object, object]
) -> int:
    """Let only members of the ledger in, with a token; return the ledger's version."""
    authorization = request.headers.get("Authorization", "")
    found = await db_session.execute(tables.find_token(ledger_id, authorization))
    member = found.one_or_none()
    if member is None:
        raise NotAuthorizedException
    return member.version


@get("/ledgers/{ledger_id:int}/transactions")
async def list_transactions(
    ledger_id: int, asset: str, version: int, page: LimitOffset, transactions: Transactions
) -> TransactionsOut:
    """Answer with a page, and how many rows there are."""
    rows, total = await transactions.get_many_and_count(
        page, *NEWEST, ledger_id=ledger_id, asset=asset, load=tables.NAMES,
        count_with_window_function=False,
    )  # fmt: skip
    return TransactionsOut(
        version=version, items=_shown(rows), limit=page.limit, offset=page.offset, total=total
    )


@get("/ledgers/{ledger_id:int}/newest")
async def list_newest(
    ledger_id: int, asset: str, version: int, page: LimitOffset, transactions: Transactions
) -> NewestOut:
    """Answer with a page; the rows are not counted."""
    rows = await transactions.get_many(
        page, *NEWEST, ledger_id=ledger_id, asset=asset, load=tables.NAMES
    )
    return NewestOut(version=version, items=_shown(rows), limit=page.limit, offset=page.offset)


def _shown(rows: Iterable[Transaction]) -> list[TransactionOut]:
    return [_row(row) for row in rows]


def _row(row: Transaction) -> TransactionOut:
    contact = row.contact
    return TransactionOut(
        id=row.id,
        wallet=row.wallet.name,
        wallet_id=row.wallet_id,
        own_address=row.own_address,
        chain=row.chain,
        txid=row.txid,
        group_key=row.group_key,
        occurred_at=row.occurred_at,
        type=row.type,
        status=row.status,
        asset=row.asset,
        contract=row.contract,
        amount=row.amount,
        counterparty=row.counterparty,
        contact=contact.name if contact else None,
        contact_id=contact.id if contact else None,
        contact_by_hand=row.contact_id is not None,
        labels=[LabelOut(label.id, label.name, label.color) for label in row.labels],
        note=row.note,
        fiat_value=row.fiat_value,
        fiat_currency=row.fiat_currency,
        hand_edited=row.hand_edited,
        version=row.version,
    )


app = Litestar(
    [list_transactions, list_newest],
    dependencies={
        "transactions": Provide(provide_transactions),
        "page": Provide(provide_page),
        "version": Provide(find_version),
    },
    plugins=[
        SQLAlchemyPlugin(
            SQLAlchemyAsyncConfig(
                connection_string=tables.database_url("asyncpg").render_as_string(
                    hide_password=False
                ),
                engine_config=EngineConfig(pool_size=tables.CONNECTIONS),
            )
        )
    ],
)
