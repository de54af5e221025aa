"""Single transactions: read, inserted, corrected, deleted; and what belongs together.

Pages of many are in lists.py, sums in totals.py, edits of whole selections in bulk.py.
"""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from sqlalchemy import (
    ColumnElement,
    delete,
    insert,
    literal,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert as insert_or
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger.errors import Invalid, NotFound
from freshledger.merging import Past, Seen, look_back, merge, refuse_if_changed
from freshledger.models import Contact, Label, Tombstone, Transaction, Wallet
from freshledger.transactions.conditions import LEDGER
from freshledger.transactions.filters import TransactionFilter
from freshledger.transactions.lists import shown
from freshledger.transactions.rows import TransactionRow, read_row
from freshledger.transactions.values import NONE

HAND = "hand:"
"""How the identity of a movement begins that no source has."""

CORRECTABLE = ("type", "counterparty", "occurred_at", "amount", "note", "contact_id")
"""The columns that can be corrected by hand, and that an import then leaves alone."""

_ROWS = Transaction.__table__


async def get_transaction(
    session: AsyncSession, *, ledger_id: int, transaction_id: int
) -> TransactionRow:
    """Return one transaction; raises NotFound."""
    found = await _read(session, ledger_id, _ROWS.c.id == transaction_id)
    if not found:
        raise NotFound("there is no such transaction")
    return found[0]


async def list_group(
    session: AsyncSession, *, ledger_id: int, group_key: str
) -> list[TransactionRow]:
    """List the movements that belong together, oldest first; none for an unknown key."""
    return await _read(session, ledger_id, _ROWS.c.group_key == group_key)


async def find_names(
    session: AsyncSession, *, ledger_id: int, where: TransactionFilter
) -> dict[tuple[str, str], str]:
    """Return what the wallets, contacts and labels of a filter are called, by name and id."""
    wanted = {
        name: [int(term.value) for term in where.terms if term.name == name and term.value != NONE]
        for name in _NAMED
    }
    if not any(wanted.values()):
        return {}
    selects = [
        select(literal(name).label("kind"), model.id, model.name).where(
            model.ledger_id == ledger_id, model.id.in_(wanted[name])
        )
        for name, model in _NAMED.items()
        if wanted[name]
    ]
    found = await session.execute(union_all(*selects))
    return {(row.kind, str(row.id)): row.name for row in found}


_NAMED: dict[str, Any] = {"wallet": Wallet, "contact": Contact, "label": Label}


async def lock_references(
    session: AsyncSession, *, ledger_id: int, wallet_id: int | None, contact_id: int | None
) -> None:
    """Keep a wallet and a contact from being deleted meanwhile; raises Invalid if one is not there."""
    for model, identifier, field in (
        (Wallet, wallet_id, "wallet_id"),
        (Contact, contact_id, "contact_id"),
    ):
        if identifier is not None:
            kept = select(model.id).where(model.ledger_id == ledger_id, model.id == identifier)
            if await session.scalar(kept.with_for_update(read=True, key_share=True)) is None:
                raise Invalid(
                    f"{field}: there is no {model.__name__.lower()} {identifier}", field=field
                )


async def insert_transaction(
    session: AsyncSession, *, ledger_id: int, values: Mapping[str, Any]
) -> int:
    """Insert a movement of no source and return its id; `values` are columns."""
    identity = f"{HAND}{uuid4()}"
    group_key = values.get("group_key") or values.get("txid") or identity
    row = {**values, "ledger_id": ledger_id, "identity": identity, "group_key": group_key}
    statement = insert(Transaction).values(row).returning(Transaction.id)
    return (await session.execute(statement)).scalar_one()


async def hold_transaction(
    session: AsyncSession, *, ledger_id: int, transaction_id: int, seen: Seen | None
) -> Past:
    """Lock a movement until the end of the transaction; return it with its past.

    Raises NotFound.
    """
    columns = [
        getattr(Transaction, name) for name in ("version", "hand_edited", "status", *CORRECTABLE)
    ]
    kept = select(*columns).where(*_itself(ledger_id, transaction_id))
    row = (await session.execute(kept.with_for_update(key_share=True))).one_or_none()
    if row is None:
        raise NotFound("there is no such transaction")
    return await look_back(
        session,
        Transaction,
        ledger_id=ledger_id,
        row_id=transaction_id,
        now=row._asdict(),
        seen=seen,
    )


async def update_transaction(
    session: AsyncSession,
    *,
    ledger_id: int,
    transaction_id: int,
    past: Past,
    values: Mapping[str, Any],
) -> None:
    """Correct columns of a held movement, and remember which differ.

    Raises LostEdit, and Invalid for an amount of a failed transaction.
    """
    changed = await merge(session, past, values)
    if not changed:
        return
    if past.now["status"] == "failed" and "amount" in changed:
        raise Invalid("amount: a failed transaction moves nothing; its amount is 0", field="amount")
    by_hand = sorted({*past.now["hand_edited"], *changed})
    edit = update(Transaction).where(*_itself(ledger_id, transaction_id))
    await session.execute(edit.values(**changed, hand_edited=by_hand))


async def delete_transaction(
    session: AsyncSession, *, ledger_id: int, transaction_id: int, seen: Seen | None = None
) -> None:
    """Delete a movement; a tombstone keeps an import from bringing it back.

    Raises NotFound, and LostEdit if it has changed since it was seen.
    """
    past = await hold_transaction(
        session, ledger_id=ledger_id, transaction_id=transaction_id, seen=seen
    )
    await refuse_if_changed(session, past)
    key = (
        Transaction.ledger_id,
        Transaction.wallet_id,
        Transaction.identity,
        Transaction.occurrence,
    )
    itself = _itself(ledger_id, transaction_id)
    gone = delete(Transaction).where(*itself).returning(*key).cte("gone")
    kept = select(*gone.c).where(~gone.c.identity.startswith(HAND))
    await session.execute(
        insert_or(Tombstone)
        .from_select([column.name for column in gone.c], kept)
        .on_conflict_do_nothing()
    )


def _itself(ledger_id: int, transaction_id: int) -> tuple[ColumnElement[bool], ...]:
    return (Transaction.ledger_id == ledger_id, Transaction.id == transaction_id)


async def _read(
    session: AsyncSession, ledger_id: int, which: ColumnElement[bool]
) -> list[TransactionRow]:
    rows = select(_ROWS).where(_ROWS.c.ledger_id == LEDGER, which).cte("found")
    document, join = shown(rows)
    statement = select(document).select_from(join(rows)).order_by(rows.c.occurred_at, rows.c.id)
    return [read_row(text) for text in await session.scalars(statement, {"ledger": ledger_id})]
