"""All SQL of labels."""

import zlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Text, bindparam, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger import named
from freshledger.database import AnySelect
from freshledger.errors import Busy, Invalid, NotFound
from freshledger.merging import Seen
from freshledger.models import COLORS, Label, Transaction, TransactionLabel

ATTEMPTS = 5
"""How often labels that others delete meanwhile are made again."""


class LabelRow(msgspec.Struct, frozen=True):
    """A label; `transactions` counts those that wear it, `last_used_at` is its newest's time."""

    id: int
    name: str
    color: str
    version: int
    transactions: int
    last_used_at: datetime | None


async def list_labels(
    session: AsyncSession, *, ledger_id: int, q: str = ""
) -> tuple[LabelRow, ...]:
    """Return the ledger's labels by name; with `q` those that have it in their name."""
    statement = _labels(ledger_id).order_by(func.lower(Label.name), Label.id)
    if q:
        statement = statement.where(Label.name.icontains(q, autoescape=True))
    return tuple(LabelRow(*row) for row in await session.execute(statement))


async def get_label(session: AsyncSession, *, ledger_id: int, label_id: int) -> LabelRow:
    """Return a label; raises NotFound."""
    if not 0 < label_id <= named.MAX_ID:
        raise NotFound("there is no such label")
    statement = _labels(ledger_id).where(Label.id == label_id)
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        raise NotFound("there is no such label")
    return LabelRow(*row)


async def find_labels(
    session: AsyncSession, *, ledger_id: int, q: str = "", limit: int = 20
) -> tuple[tuple[int, str, str], ...]:
    """Return (id, name, color) of labels to choose from; those that begin with `q` first."""
    statement = select(Label.id, Label.name, Label.color).where(Label.ledger_id == ledger_id)
    if q:
        statement = statement.where(Label.name.icontains(q, autoescape=True))
        statement = statement.order_by(Label.name.istartswith(q, autoescape=True).desc())
    statement = statement.order_by(func.lower(Label.name), Label.id).limit(limit)
    return tuple((row.id, row.name, row.color) for row in await session.execute(statement))


async def insert_label(
    session: AsyncSession, *, ledger_id: int, name: str, color: str | None = None
) -> int:
    """Make a label and return its id; raises Invalid or Conflict. Without color, one is given."""
    values = {"name": named.clean_name(name)}
    values["color"] = color_of(values["name"]) if color is None else clean_color(color)
    return await named.insert_named(session, Label, ledger_id=ledger_id, values=values)


async def update_label(
    session: AsyncSession,
    *,
    ledger_id: int,
    label_id: int,
    name: str | None = None,
    color: str | None = None,
    seen: Seen | None = None,
) -> None:
    """Rename or recolour; None leaves it. Raises Invalid, NotFound, Conflict, LostEdit."""
    values: dict[str, Any] = {}
    if name is not None:
        values["name"] = named.clean_name(name)
    if color is not None:
        values["color"] = clean_color(color)
    if not values:
        raise Invalid("name: nothing to change; give a name or a color", field="name")
    await named.update_named(
        session, Label, ledger_id=ledger_id, row_id=label_id, seen=seen, values=values
    )


async def delete_label(
    session: AsyncSession, *, ledger_id: int, label_id: int, seen: Seen | None = None
) -> None:
    """Delete a label and take it off every transaction; raises NotFound, LostEdit."""
    await named.delete_named(session, Label, ledger_id=ledger_id, row_id=label_id, seen=seen)


async def move_links(session: AsyncSession, *, ledger_id: int, gone: int, kept: int) -> None:
    """Put label `kept` on every transaction that wears `gone`.

    The transactions are held, in the order of their ids: one that is being deleted is left
    out, where its link would fail.
    """
    wearers: AnySelect = (
        select(Transaction.ledger_id, Transaction.id, literal(kept), Transaction.occurred_at)
        .join(
            TransactionLabel,
            (TransactionLabel.ledger_id == Transaction.ledger_id)
            & (TransactionLabel.transaction_id == Transaction.id),
        )
        .where(Transaction.ledger_id == ledger_id, TransactionLabel.label_id == gone)
        .order_by(Transaction.id)
        .with_for_update(read=True, key_share=True, of=Transaction)
    )
    columns = ["ledger_id", "transaction_id", "label_id", "occurred_at"]
    link = insert(TransactionLabel).from_select(columns, wearers).on_conflict_do_nothing()
    await session.execute(link)


async def ensure_labels(
    session: AsyncSession, *, ledger_id: int, names: Iterable[str]
) -> dict[str, int]:
    """Return the id of every name, making the labels that are missing; raises Invalid.

    The keys are the names as given. The labels are held until the end of the transaction:
    nobody can delete them before they are tied to something.
    """
    cleaned = {given: named.clean_name(given, field="label") for given in names}
    wanted = sorted(set(cleaned.values()), key=lambda name: (name.lower(), name))
    for _ in range(ATTEMPTS):
        held = await _hold(session, ledger_id, wanted)
        missing = [name for name in wanted if name not in held]
        if not missing:
            return {given: held[name] for given, name in cleaned.items()}
        await _make(session, ledger_id, missing)
    raise Busy("others kept deleting the same labels; try again in a moment")


async def _hold(session: AsyncSession, ledger_id: int, names: list[str]) -> dict[str, int]:
    given = func.unnest(bindparam("names", names, type_=ARRAY(Text()))).column_valued("given")
    statement = (
        select(given, Label.id)
        .join(Label, func.lower(Label.name) == func.lower(given))
        .where(Label.ledger_id == ledger_id)
        .order_by(Label.id)
        .with_for_update(read=True, key_share=True, of=Label)
    )
    return {row[0]: row[1] for row in await session.execute(statement)}


async def _make(session: AsyncSession, ledger_id: int, names: list[str]) -> None:
    rows = [{"ledger_id": ledger_id, "name": name, "color": color_of(name)} for name in names]
    await session.execute(insert(Label).on_conflict_do_nothing(), rows)


def clean_color(color: str) -> str:
    """Return a colour of the palette; raises Invalid for another."""
    if color not in COLORS:
        raise Invalid(f"color: must be one of {', '.join(COLORS)}", field="color")
    return color


def color_of(name: str) -> str:
    """Return the colour a label gets that nobody chose one for: always the same, never gray."""
    return COLORS[1:][zlib.crc32(name.lower().encode()) % (len(COLORS) - 1)]


def _labels(ledger_id: int) -> AnySelect:
    uses = (
        select(
            TransactionLabel.label_id,
            func.count().label("transactions"),
            func.max(TransactionLabel.occurred_at).label("last_used_at"),
        )
        .where(TransactionLabel.ledger_id == ledger_id, TransactionLabel.label_id == Label.id)
        .group_by(TransactionLabel.label_id)
        .correlate(Label)
        .lateral("uses")
    )
    return (
        select(
            Label.id,
            Label.name,
            Label.color,
            Label.version,
            func.coalesce(uses.c.transactions, 0),
            uses.c.last_used_at,
        )
        .outerjoin(uses, uses.c.label_id == Label.id)
        .where(Label.ledger_id == ledger_id)
    )
