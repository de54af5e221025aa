"""All SQL of contacts and their addresses.

A transaction's contact is the hand-set one, else the one with its counterparty's address in
its network: nothing is copied, so an address that is added counts for past and future at once.
"""

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    exists,
    func,
    literal,
    or_,
    select,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger import named
from freshledger.database import AnyRow, AnySelect
from freshledger.errors import Invalid, NotFound
from freshledger.merging import Seen
from freshledger.models import Contact, ContactAddress, Transaction
from freshledger.paging import Cursor, Page, page_of, stored_text, whole_number

COUNTED = 1000
"""Uses are counted up to this: one more means 'more than'."""


class ContactAddressRow(msgspec.Struct, frozen=True):
    """An address as it is stored, and the network it is in ('evm' for all EVM chains)."""

    id: int
    network: str
    address: str


class ContactRow(msgspec.Struct, frozen=True):
    """A contact and its addresses; `transactions` is counted up to COUNTED + 1."""

    id: int
    name: str
    note: str
    version: int
    addresses: tuple[ContactAddressRow, ...]
    transactions: int
    last_at: datetime | None


async def list_contacts(
    session: AsyncSession,
    *,
    ledger_id: int,
    q: str = "",
    cursor: Cursor = Cursor(),  # noqa: B008 - frozen
    limit: int = 50,
) -> Page[ContactRow]:
    """Return a page of contacts by name; with `q` those with it in their name or an address."""
    where = [Contact.ledger_id == ledger_id, *_matching(ledger_id, q)]
    key = tuple_(func.lower(Contact.name), Contact.id)
    chosen = select(Contact.id).where(*where).limit(limit + 1)
    behind = False
    if cursor.position:
        name, identifier = cursor.position
        place = tuple_(literal(stored_text(name)), literal(whole_number(identifier)))
        chosen = chosen.where(key < place if cursor.backward else key > place)
        passed = key >= place if cursor.backward else key <= place
        behind = bool(await session.scalar(select(exists().where(*where, passed))))
    order: list[Any] = [func.lower(Contact.name), Contact.id]
    if cursor.backward:
        order = [column.desc() for column in order]
    chosen = chosen.order_by(*order)
    rows = await session.execute(_contacts(ledger_id, Contact.id.in_(chosen)).order_by(*order))
    found = [(_contact(row), row.lowered) for row in rows]
    page = page_of(
        found,
        cursor=cursor,
        limit=limit,
        behind=behind,
        scope=scope(q),
        key=lambda item: (item[1], str(item[0].id)),
    )
    shown = tuple(contact for contact, _ in page.rows)
    return Page(shown, page.next, page.previous, page.first, page.last)


def scope(q: str) -> str:
    """Return what the cursors of this list are bound to."""
    return f"contacts:{q}"


async def get_contact(session: AsyncSession, *, ledger_id: int, contact_id: int) -> ContactRow:
    """Return a contact; raises NotFound."""
    if 0 < contact_id <= named.MAX_ID:
        statement = _contacts(ledger_id, Contact.id == contact_id)
        row = (await session.execute(statement)).one_or_none()
        if row is not None:
            return _contact(row)
    raise NotFound("there is no such contact")


async def get_contact_named(
    session: AsyncSession, *, ledger_id: int, name: str, field: str = "name"
) -> int:
    """Return the id of the contact of that name, whatever its case; raises Invalid."""
    wanted = named.clean_name(name, field=field)
    statement = select(Contact.id).where(
        Contact.ledger_id == ledger_id, func.lower(Contact.name) == func.lower(wanted)
    )
    found = (await session.execute(statement)).scalar_one_or_none()
    if found is None:
        raise Invalid(f"{field}: there is no contact named “{wanted}”", field=field)
    return found


async def count_contacts(session: AsyncSession, *, ledger_id: int) -> int:
    """Return the number of the ledger's contacts."""
    statement = select(func.count()).where(Contact.ledger_id == ledger_id)
    return (await session.execute(statement)).scalar_one()


async def find_contacts(
    session: AsyncSession, *, ledger_id: int, q: str = "", limit: int = 20
) -> tuple[tuple[int, str], ...]:
    """Return (id, name) of contacts to choose from; those that begin with `q` first."""
    statement = select(Contact.id, Contact.name).where(Contact.ledger_id == ledger_id)
    if q:
        statement = statement.where(Contact.name.icontains(q, autoescape=True))
        statement = statement.order_by(Contact.name.istartswith(q, autoescape=True).desc())
    statement = statement.order_by(func.lower(Contact.name), Contact.id).limit(limit)
    return tuple((row.id, row.name) for row in await session.execute(statement))


async def insert_contact(
    session: AsyncSession, *, ledger_id: int, name: str, note: str = ""
) -> int:
    """Make a contact and return its id; raises Invalid or Conflict."""
    values = {"name": named.clean_name(name), "note": named.clean_note(note)}
    return await named.insert_named(session, Contact, ledger_id=ledger_id, values=values)


async def update_contact(
    session: AsyncSession,
    *,
    ledger_id: int,
    contact_id: int,
    name: str | None = None,
    note: str | None = None,
    seen: Seen | None = None,
) -> None:
    """Rename or note; None leaves it. Raises Invalid, NotFound, Conflict, LostEdit."""
    await named.update_named(
        session,
        Contact,
        ledger_id=ledger_id,
        row_id=contact_id,
        seen=seen,
        values=named.named_values(name=name, note=note),
    )


async def delete_contact(
    session: AsyncSession, *, ledger_id: int, contact_id: int, seen: Seen | None = None
) -> None:
    """Delete a contact and its addresses; its transactions stay, without it."""
    await named.delete_named(session, Contact, ledger_id=ledger_id, row_id=contact_id, seen=seen)


async def move_uses(session: AsyncSession, *, ledger_id: int, gone: int, kept: int) -> None:
    """Give contact `kept` the addresses of `gone` and what was tied to it by hand."""
    await session.execute(
        update(ContactAddress)
        .where(ContactAddress.ledger_id == ledger_id, ContactAddress.contact_id == gone)
        .values(contact_id=kept)
    )
    tied = (
        select(Transaction.id)
        .where(Transaction.ledger_id == ledger_id, Transaction.contact_id == gone)
        .order_by(Transaction.id)
        .with_for_update(key_share=True)
        .cte("tied")
    )
    await session.execute(
        update(Transaction)
        .where(Transaction.ledger_id == ledger_id, Transaction.id.in_(select(tied.c.id)))
        .values(contact_id=kept)
    )


def of_contact() -> ColumnElement[bool]:
    """Join addresses to their contact."""
    return (ContactAddress.ledger_id == Contact.ledger_id) & (
        ContactAddress.contact_id == Contact.id
    )


def _matching(ledger_id: int, q: str) -> list[ColumnElement[bool]]:
    if not q:
        return []
    addressed = exists().where(
        ContactAddress.ledger_id == ledger_id,
        ContactAddress.contact_id == Contact.id,
        ContactAddress.address.icontains(q, autoescape=True),
    )
    return [or_(Contact.name.icontains(q, autoescape=True), addressed)]


def _contacts(ledger_id: int, *where: ColumnElement[bool]) -> AnySelect:
    address = func.jsonb_build_array(
        ContactAddress.id, ContactAddress.network, ContactAddress.address
    )
    order = (ContactAddress.network, ContactAddress.id)
    addresses = select(func.jsonb_agg(aggregate_order_by(address, *order))).where(of_contact())
    return select(
        Contact.id,
        Contact.name,
        Contact.note,
        Contact.version,
        addresses.scalar_subquery().label("addresses"),
        _uses(),
        _last_at(),
        func.lower(Contact.name).label("lowered"),
    ).where(Contact.ledger_id == ledger_id, *where)


def _derived(*columns: Any) -> AnySelect:  # noqa: ANN401 - columns
    """Select transactions that have the outer contact by one of its addresses."""
    return (
        select(*columns)
        .select_from(ContactAddress)
        .join(
            Transaction,
            (Transaction.ledger_id == ContactAddress.ledger_id)
            & (Transaction.counterparty == ContactAddress.address)
            & (Transaction.network == ContactAddress.network),
        )
        .where(of_contact(), Transaction.contact_id.is_(None))
        .correlate(Contact)
    )


def _by_hand(*columns: Any) -> AnySelect:  # noqa: ANN401 - columns
    return (
        select(*columns)
        .where(Transaction.ledger_id == Contact.ledger_id, Transaction.contact_id == Contact.id)
        .correlate(Contact)
    )


def _uses() -> ScalarSelect[int]:
    one = literal(1)
    some = union_all(_by_hand(one), _derived(one)).limit(COUNTED + 1).subquery("uses")
    return select(func.count()).select_from(some).scalar_subquery()


def _last_at() -> ScalarSelect[datetime]:
    newest = Transaction.occurred_at.desc()
    at = Transaction.occurred_at
    by_hand = _by_hand(at).order_by(newest).limit(1).scalar_subquery()
    each = (
        select(at)
        .where(
            Transaction.ledger_id == ContactAddress.ledger_id,
            Transaction.counterparty == ContactAddress.address,
            Transaction.network == ContactAddress.network,
            Transaction.contact_id.is_(None),
        )
        .order_by(newest)
        .limit(1)
        .correlate(ContactAddress)
        .scalar_subquery()
    )
    derived = select(func.max(each)).where(of_contact()).correlate(Contact).scalar_subquery()
    return select(func.greatest(by_hand, derived)).correlate(Contact).scalar_subquery()


def _contact(row: AnyRow) -> ContactRow:
    addresses = tuple(ContactAddressRow(*address) for address in row.addresses or ())
    return ContactRow(row[0], row[1], row[2], row[3], addresses, row[5], row[6])
