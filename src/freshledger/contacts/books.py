"""The SQL of whole address books: all contacts at once, read and written."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger.errors import Conflict
from freshledger.models import Contact, ContactAddress

Known = tuple[int, str, str | None, str | None]
"""A contact's id and name, and the network and address of one of its addresses, if any."""


async def list_known(session: AsyncSession, *, ledger_id: int) -> list[Known]:
    """Return every address of every contact by name; contacts without one once."""
    statement = (
        select(Contact.id, Contact.name, ContactAddress.network, ContactAddress.address)
        .outerjoin(
            ContactAddress,
            (ContactAddress.ledger_id == Contact.ledger_id)
            & (ContactAddress.contact_id == Contact.id),
        )
        .where(Contact.ledger_id == ledger_id)
        .order_by(func.lower(Contact.name), ContactAddress.network, ContactAddress.id)
    )
    return [(row[0], row[1], row[2], row[3]) for row in await session.execute(statement)]


async def lock_contacts(session: AsyncSession, *, ledger_id: int) -> None:
    """Keep all contacts as they are until the end of the transaction."""
    statement = select(Contact.id).where(Contact.ledger_id == ledger_id).order_by(Contact.id)
    await session.execute(statement.with_for_update(key_share=True))


async def insert_contacts(
    session: AsyncSession, *, ledger_id: int, names: Sequence[str]
) -> dict[str, int]:
    """Make contacts and return their ids by name; raises Conflict if one is there already."""
    if not names:
        return {}
    rows = [{"ledger_id": ledger_id, "name": name} for name in names]
    statement = insert(Contact).on_conflict_do_nothing().returning(Contact.name, Contact.id)
    made = {row.name: row.id for row in await session.execute(statement, rows)}
    if len(made) < len(rows):
        raise _overtaken()
    return made


async def insert_addresses(
    session: AsyncSession, *, ledger_id: int, rows: Sequence[tuple[int, str, str]]
) -> None:
    """Add (contact id, network, address) rows; raises Conflict if one is there already."""
    if not rows:
        return
    columns = ("contact_id", "network", "address")
    values = [{"ledger_id": ledger_id, **dict(zip(columns, row, strict=True))} for row in rows]
    statement = insert(ContactAddress).on_conflict_do_nothing().returning(ContactAddress.id)
    made = (await session.execute(statement, values)).all()
    if len(made) < len(rows):
        raise _overtaken()


def _overtaken() -> Conflict:
    return Conflict(
        "file: somebody has just added some of the same contacts; look at the preview again",
        field="file",
    )
