"""What a filter's rows come to: their number, and sums per asset, in one statement."""

from functools import lru_cache

from sqlalchemy import ColumnElement, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger.database import AnySelect
from freshledger.errors import NotFound
from freshledger.models import Head, Transaction
from freshledger.transactions.conditions import (
    LEDGER,
    Shape,
    conditions,
    parameters_of,
    shape_of,
)
from freshledger.transactions.filters import TransactionFilter
from freshledger.transactions.periods import Clock
from freshledger.transactions.rows import AssetTotal, Totals


async def get_totals(
    session: AsyncSession, *, ledger_id: int, where: TransactionFilter, clock: Clock
) -> Totals:
    """Count and sum all that the filter lets in, at the version the statement's snapshot shows.

    Only confirmed rows are summed, pending ones apart; a failed one moved nothing. Raises
    NotFound where the ledger is gone.
    """
    parameters = {"ledger": ledger_id} | parameters_of(where, clock)
    records = (await session.execute(_totals(shape_of(where)), parameters)).all()
    if not records:
        raise NotFound("there is no such ledger")
    return Totals(
        version=records[0].version,
        count=sum(record.rows or 0 for record in records),
        pending_count=sum(record.pending_count or 0 for record in records),
        assets=tuple(
            AssetTotal(*of_asset) for _, _, *of_asset in records if of_asset[0] is not None
        ),
    )


@lru_cache(maxsize=1024)
def _totals(shape: Shape) -> AnySelect:
    """Select the version, how many rows are pending, and what AssetTotal has, in its order."""
    rows, head = Transaction.__table__.alias("t"), Head.__table__
    confirmed, fee = rows.c.status == "confirmed", rows.c.type == "fee"
    pending = rows.c.status == "pending"

    def total(*which: ColumnElement[bool]) -> ColumnElement[int]:
        return func.coalesce(func.sum(rows.c.amount).filter(*which), 0)

    sums = (
        select(
            func.count().filter(pending).label("pending_count"),
            rows.c.asset,
            rows.c.contract,
            func.count().label("rows"),
            total(confirmed, ~fee, rows.c.amount > 0).label("money_in"),
            (-total(confirmed, ~fee, rows.c.amount < 0)).label("money_out"),
            (-total(confirmed, fee)).label("fees"),
            total(confirmed).label("net"),
            total(pending).label("pending"),
        )
        .where(rows.c.ledger_id == LEDGER, *conditions(shape, rows))
        .group_by(rows.c.asset, rows.c.contract)
        .subquery("sums")
    )
    return (
        select(head.c.version, *sums.c)
        .select_from(head.outerjoin(sums, true()))
        .where(head.c.ledger_id == LEDGER)
        .order_by(sums.c.rows.desc(), sums.c.asset, sums.c.contract.nulls_first())
    )
