"""What the pages of transactions read beside the rows: names to choose from, and origins."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import JSON, BigInteger, ColumnElement, bindparam, func, literal, null, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger import named
from freshledger.contacts.repository import insert_contact
from freshledger.database import AnyRow
from freshledger.errors import NotFound
from freshledger.models import (
    Contact,
    Import,
    ImportFile,
    ImportRow,
    Label,
    SavedFilter,
    Transaction,
    Wallet,
)
from freshledger.transactions.saved_filters import SavedFilterRow

OFFERED = 200
"""How many of a kind a menu holds; others are found by search or stand in the address."""

Choices = tuple[tuple[str, str, str | None], ...]
"""Of each: the value in the URL, its name, its colour if it has one."""


async def list_choices(
    session: AsyncSession, *, ledger_id: int, user_id: int
) -> tuple[dict[str, Choices], tuple[SavedFilterRow, ...]]:
    """Return what filters offer, by the filter's name, and the user's saved filters: one statement.

    Wallets, assets, labels and contacts to choose from.
    """
    found = (await session.execute(_CHOICES, {"ledger": ledger_id, "user": user_id})).one()
    saved = tuple(SavedFilterRow(*row) for row in found.saved or ())
    offered = {
        name: tuple((str(value), text, color) for value, text, color in found._mapping[name] or ())  # noqa: SLF001 - SQLAlchemy's public name for it
        for name in ("wallet", "asset", "label", "contact")
    }
    return offered, saved


async def list_wallet_names(
    session: AsyncSession, *, ledger_id: int
) -> tuple[tuple[int, str], ...]:
    """Return (id, name) of the ledger's wallets by name."""
    statement = select(Wallet.id, Wallet.name).where(Wallet.ledger_id == ledger_id)
    statement = statement.order_by(func.lower(Wallet.name), Wallet.id).limit(OFFERED)
    return tuple((row.id, row.name) for row in await session.execute(statement))


def _assets() -> Any:  # noqa: ANN401 - a select
    """Select the first assets of the ledger by symbol.

    Hops from each to the next in the index: a DISTINCT would read all rows.
    """
    asset = Transaction.__table__.c.asset

    def next_after(*which: Any) -> Any:  # noqa: ANN401 - conditions in, a select out
        rows = select(asset).where(Transaction.__table__.c.ledger_id == _LEDGER, *which)
        return rows.order_by(asset).limit(1).scalar_subquery()

    hops = select(next_after().label("asset")).cte("hops", recursive=True)
    following = select(next_after(asset > hops.c.asset)).where(hops.c.asset.is_not(None))
    hops = hops.union_all(following)
    return select(hops.c.asset).where(hops.c.asset.is_not(None)).limit(OFFERED)


def _named(table: Any, *columns: str) -> Any:  # noqa: ANN401 - a table in, a select out
    """Select the first of a ledger's rows by name."""
    rows = select(*(table.c[name] for name in columns)).where(table.c.ledger_id == _LEDGER)
    return rows.order_by(func.lower(table.c.name), table.c.id).limit(OFFERED)


def _array(rows: Any, *columns: str | None) -> Any:  # noqa: ANN401 - a select in, a column out
    """Return the rows as one JSON array of arrays, in their order."""
    rows = rows.subquery()
    values = [null() if name is None else rows.c[name] for name in columns]
    arrays = func.json_agg(func.json_build_array(*values), type_=JSON())
    return select(arrays).select_from(rows).scalar_subquery()


_LEDGER: ColumnElement[int] = bindparam("ledger", type_=BigInteger())
_WALLETS, _LABELS, _CONTACTS, _SAVED = (
    model.__table__ for model in (Wallet, Label, Contact, SavedFilter)
)
_CHOICES = select(
    _array(_named(_WALLETS, "id", "name"), "id", "name", None).label("wallet"),
    _array(_assets(), "asset", "asset", None).label("asset"),
    _array(_named(_LABELS, "id", "name", "color"), "id", "name", "color").label("label"),
    _array(_named(_CONTACTS, "id", "name"), "id", "name", None).label("contact"),
    _array(
        _named(_SAVED, "id", "name", "query").where(
            _SAVED.c.user_id == bindparam("user", type_=BigInteger())
        ),
        "id", "name", "query",
    ).label("saved"),
)  # fmt: skip


async def list_sources(
    session: AsyncSession, *, ledger_id: int, transaction_id: int
) -> list[AnyRow]:
    """Return the imports that contained a movement, the first of them first.

    Columns: id, status, created_at, outcome (new, there or updated) and the files' names.
    """
    comma = aggregate_order_by(literal(", "), ImportFile.id)
    names = (
        select(func.string_agg(ImportFile.name, comma))
        .where(ImportFile.ledger_id == ledger_id, ImportFile.import_id == Import.id)
        .scalar_subquery()
    )
    statement = (
        select(Import.id, Import.status, Import.created_at, ImportRow.outcome, names.label("files"))
        .join(
            ImportRow,
            (ImportRow.ledger_id == Import.ledger_id) & (ImportRow.import_id == Import.id),
        )
        .where(Import.ledger_id == ledger_id, ImportRow.transaction_id == transaction_id)
        .order_by(Import.id)
    )
    return list(await session.execute(statement))


async def find_label(session: AsyncSession, *, ledger_id: int, name: str) -> int:
    """Return the id of the label of that name, whatever its case; raises NotFound, field label."""
    named_so = func.lower(Label.name) == func.lower(named.clean_name(name, field="label"))
    statement = select(Label.id).where(Label.ledger_id == ledger_id, named_so)
    found = (await session.execute(statement)).scalar_one_or_none()
    if found is None:
        raise NotFound(f"label: there is no label named “{name[:60]}”", field="label")
    return found


async def name_contacts(
    session: AsyncSession, *, ledger_id: int, ids: Iterable[int]
) -> dict[int, str]:
    """Return what contacts are called; those that are gone have no name."""
    wanted = list(ids)
    if not wanted:
        return {}
    statement = select(Contact.id, Contact.name).where(
        Contact.ledger_id == ledger_id, Contact.id.in_(wanted)
    )
    return {row.id: row.name for row in await session.execute(statement)}


async def ensure_contact(session: AsyncSession, *, ledger_id: int, name: str) -> int | None:
    """Return the id of the contact of that name, made if it is missing; None for no name.

    Raises Invalid, and Conflict if somebody else makes it at the same moment.
    """
    if not name.strip():
        return None
    name = named.clean_name(name, field="contact")
    named_so = func.lower(Contact.name) == func.lower(name)
    statement = select(Contact.id).where(Contact.ledger_id == ledger_id, named_so)
    found = (await session.execute(statement)).scalar_one_or_none()
    if found is not None:
        return found
    return await insert_contact(session, ledger_id=ledger_id, name=name)
