"""All SQL of saved filters: a user's named queries of a ledger's transactions page."""

import msgspec
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger import named
from freshledger.errors import Conflict, Invalid, NotFound
from freshledger.models import SavedFilter

MOST = 100
"""How many filters a user may save in a ledger: they all stand in one menu."""


class SavedFilterRow(msgspec.Struct, frozen=True):
    """A saved filter; `query` is a query string in the canonical order of the filter's terms."""

    id: int
    name: str
    query: str


async def insert_saved_filter(
    session: AsyncSession, *, ledger_id: int, user_id: int, name: str, query: str
) -> str:
    """Save a filter and return its name as stored; raises Invalid, and Conflict if it is taken."""
    name = named.clean_name(name)
    theirs = select(func.count()).where(
        SavedFilter.ledger_id == ledger_id, SavedFilter.user_id == user_id
    )
    if (await session.execute(theirs)).scalar_one() >= MOST:
        raise Invalid(f"name: {MOST} filters are saved already; delete one first", field="name")
    statement = (
        insert(SavedFilter)
        .values(ledger_id=ledger_id, user_id=user_id, name=name, query=query)
        .on_conflict_do_nothing()
        .returning(SavedFilter.id)
    )
    if (await session.execute(statement)).scalar_one_or_none() is None:
        raise Conflict(f"name: there is already a filter named “{name}”", field="name")
    return name


async def delete_saved_filter(
    session: AsyncSession, *, ledger_id: int, user_id: int, filter_id: int
) -> str:
    """Delete a filter and return the name it had; raises NotFound, also for another user's."""
    statement = delete(SavedFilter).where(
        SavedFilter.ledger_id == ledger_id,
        SavedFilter.user_id == user_id,
        SavedFilter.id == filter_id,
    )
    name = None
    if 0 < filter_id <= named.MAX_ID:
        name = (await session.execute(statement.returning(SavedFilter.name))).scalar_one_or_none()
    if name is None:
        raise NotFound("there is no such saved filter")
    return name
