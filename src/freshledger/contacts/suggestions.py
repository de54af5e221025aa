"""Counterparties that are met often and have no name yet."""

from datetime import datetime

import msgspec
from sqlalchemy import exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger.chains import NETWORKS
from freshledger.models import ContactAddress, Transaction, WalletAddress

LOOKED_AT = 5000
"""Only the newest movements are looked at: the cost does not grow with the ledger."""
LEAST = 3
"""Fewer meetings are chance."""


class Suggestion(msgspec.Struct, frozen=True):
    """An address without contact and how often it was met among the newest movements."""

    network: str
    address: str
    transactions: int
    last_at: datetime


async def list_suggestions(
    session: AsyncSession, *, ledger_id: int, limit: int = 6
) -> tuple[Suggestion, ...]:
    """Return the most frequent counterparties without contact, own addresses left out.

    Movements of nothing do not count: dust and poisoned look-alikes live by them.
    """
    newest = (
        select(
            Transaction.counterparty,
            Transaction.network,
            Transaction.contact_id,
            Transaction.amount,
            Transaction.occurred_at,
        )
        .where(Transaction.ledger_id == ledger_id)
        .order_by(Transaction.occurred_at.desc(), Transaction.id.desc())
        .limit(LOOKED_AT)
        .subquery("newest")
    )
    known = exists().where(
        ContactAddress.ledger_id == ledger_id,
        ContactAddress.address == newest.c.counterparty,
        ContactAddress.network == newest.c.network,
    )
    own = exists().where(
        WalletAddress.ledger_id == ledger_id, WalletAddress.address == newest.c.counterparty
    )
    met = func.count()
    statement = (
        select(newest.c.network, newest.c.counterparty, met, func.max(newest.c.occurred_at))
        .where(
            newest.c.counterparty.is_not(None),
            newest.c.network.in_(NETWORKS),
            newest.c.contact_id.is_(None),
            newest.c.amount != 0,
            ~known,
            ~own,
        )
        .group_by(newest.c.network, newest.c.counterparty)
        .having(met >= LEAST)
        .order_by(met.desc(), newest.c.counterparty)
        .limit(limit)
    )
    return tuple(Suggestion(*row) for row in await session.execute(statement))
