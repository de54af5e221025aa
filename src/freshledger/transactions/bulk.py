"""Edits of a whole selection, each in one statement: labels, note, contact.

The digest of a set is the sum of a hash of each row's id and version, whatever their order:
another row, or another version of one, is another digest. An edit that names what its user
saw is done only if the set that the same statement finds is exactly that.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Text,
    any_,
    bindparam,
    cast,
    delete,
    func,
    literal,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger.database import AnyRow, AnySelect
from freshledger.errors import NotFound, PreconditionFailed
from freshledger.models import Label, Transaction, TransactionLabel
from freshledger.transactions.conditions import LEDGER, conditions, parameters_of, shape_of
from freshledger.transactions.filters import Preview, Selection

TIMEOUT = "10min"
"""For an edit of all that a filter lets in: longer than a page may take."""

_CARRIED = ("occurred_at", "wallet_id", "asset", "type")
"""What a link has of its transaction."""

_T = Transaction.__table__.alias("t")
_IDS = bindparam("ids", type_=ARRAY(BigInteger))


@dataclass(frozen=True, slots=True)
class Edited:
    """How many transactions a selection held, and how many rows the edit changed."""

    matched: int
    changed: int


async def preview(session: AsyncSession, *, ledger_id: int, selection: Selection) -> Preview:
    """Count a selection and take its digest."""
    matched = _matching(selection).cte("matched")
    state = select(*_state(matched)).select_from(matched)
    row = (await session.execute(state, _parameters(ledger_id, selection))).one()
    return Preview(row.rows, row.digest)


async def insert_labels(
    session: AsyncSession, *, ledger_id: int, selection: Selection, label_ids: tuple[int, ...]
) -> Edited:
    """Put labels on a selection; those that are there already stay.

    Raises NotFound for a label that is not there, PreconditionFailed for another set.
    """
    matched = _locked(selection)
    chosen = _labels()
    pairs = select(
        matched.c.ledger_id, matched.c.id, chosen.c.id, *(matched.c[name] for name in _CARRIED)
    ).where(_is_seen(selection, matched))
    names = ["ledger_id", "transaction_id", "label_id", *_CARRIED]
    written = (
        insert(TransactionLabel)
        .from_select(names, pairs.select_from(matched.join(chosen, true())))
        .on_conflict_do_nothing()
        .returning(TransactionLabel.transaction_id)
        .cte("written")
    )
    edit = _Edit(matched, written, chosen)
    return await _run(session, ledger_id, selection, edit, label_ids)


async def delete_labels(
    session: AsyncSession, *, ledger_id: int, selection: Selection, label_ids: tuple[int, ...]
) -> Edited:
    """Take labels off a selection; raises as insert_labels does."""
    matched = _locked(selection)
    chosen = _labels()
    links = TransactionLabel.__table__
    written = (
        delete(TransactionLabel)
        .where(
            links.c.ledger_id == LEDGER,
            links.c.transaction_id == matched.c.id,
            links.c.label_id == chosen.c.id,
            _is_seen(selection, matched),
        )
        .returning(links.c.transaction_id)
        .cte("written")
    )
    edit = _Edit(matched, written, chosen)
    return await _run(session, ledger_id, selection, edit, label_ids)


async def update_notes(
    session: AsyncSession, *, ledger_id: int, selection: Selection, note: str
) -> Edited:
    """Set the note of a selection; raises PreconditionFailed for another set."""
    matched = _locked(selection, writes=True)
    written = _update(selection, matched, "note", literal(note))
    return await _run(session, ledger_id, selection, _Edit(matched, written))


async def update_contacts(
    session: AsyncSession, *, ledger_id: int, selection: Selection, contact_id: int | None
) -> Edited:
    """Set the contact of a selection by hand, or leave it to the counterparty again (None).

    Raises PreconditionFailed for another set; the caller has locked the contact.
    """
    matched = _locked(selection, writes=True)
    written = _update(selection, matched, "contact_id", literal(contact_id, BigInteger))
    return await _run(session, ledger_id, selection, _Edit(matched, written))


def _matching(selection: Selection) -> AnySelect:
    matching = select(*(_T.c[name] for name in ("ledger_id", "id", "version", *_CARRIED)))
    matching = matching.where(_T.c.ledger_id == LEDGER)
    if selection.ids is not None:
        return matching.where(_T.c.id == any_(_IDS))
    if selection.group_key is not None:
        return matching.where(_T.c.group_key == bindparam("of_group", type_=Text))
    if selection.where is None:
        raise TypeError("a selection names ids, a group or a filter")
    return matching.where(*conditions(shape_of(selection.where), _T))


def _parameters(ledger_id: int, selection: Selection) -> dict[str, Any]:
    parameters: dict[str, Any] = {"ledger": ledger_id}
    if selection.ids is not None:
        return parameters | {"ids": list(selection.ids)}
    if selection.group_key is not None:
        return parameters | {"of_group": selection.group_key}
    if selection.where is None:
        return parameters
    return parameters | parameters_of(selection.where, selection.clock)


def _locked(selection: Selection, *, writes: bool = False) -> CTE:
    """Lock the rows in the order of their ids, so that no two edits wait for each other.

    A label needs only that they stay and keep their time; what writes them locks them so.
    """
    locked = _matching(selection).order_by(_T.c.id)
    return locked.with_for_update(of=_T, read=not writes, key_share=True).cte("matched")


def _labels() -> CTE:
    """Lock the labels, so that one that is deleted meanwhile is not found instead."""
    wanted = Label.id == any_(bindparam("labels", type_=ARRAY(BigInteger)))
    labels = select(Label.id).where(Label.ledger_id == LEDGER, wanted).order_by(Label.id)
    return labels.with_for_update(read=True, key_share=True).cte("chosen")


def _state(matched: CTE) -> tuple[ColumnElement[Any], ...]:
    each = func.hashint8extended(matched.c.id, matched.c.version)
    digest = cast(func.coalesce(func.sum(each), 0), Text)
    return func.count().label("rows"), digest.label("digest")


def _is_seen(selection: Selection, matched: CTE) -> ColumnElement[bool]:
    if selection.seen is None:
        return true()
    count, digest = _state(matched)
    same = (count == literal(selection.seen.count, BigInteger)) & (digest == selection.seen.digest)
    return select(same).select_from(matched).scalar_subquery()


def _update(selection: Selection, matched: CTE, column: str, value: ColumnElement[Any]) -> CTE:
    """Set a column where it differs, and remember that a person did."""
    rows = Transaction.__table__
    by_hand = rows.c.hand_edited
    remembered = func.array_append(func.array_remove(by_hand, column), column)
    return (
        update(Transaction)
        .where(
            rows.c.ledger_id == LEDGER,
            rows.c.id == matched.c.id,
            rows.c[column].is_distinct_from(value),
            _is_seen(selection, matched),
        )
        .values({column: value, "hand_edited": remembered})
        .returning(rows.c.id)
        .cte("written")
    )


@dataclass(frozen=True, slots=True)
class _Edit:
    matched: CTE
    written: CTE
    chosen: CTE | None = None


async def _run(
    session: AsyncSession,
    ledger_id: int,
    selection: Selection,
    edit: _Edit,
    label_ids: tuple[int, ...] | None = None,
) -> Edited:
    parameters = _parameters(ledger_id, selection)
    changed = select(func.count()).select_from(edit.written).scalar_subquery()
    found: ColumnElement[Any] = literal(0)
    if edit.chosen is not None:
        parameters["labels"] = list(label_ids or ())
        found = select(func.count()).select_from(edit.chosen).scalar_subquery()
    if selection.where is not None:
        await session.execute(select(func.set_config("statement_timeout", TIMEOUT, True)))  # noqa: FBT003 - set_config's is_local
    state = select(*_state(edit.matched), changed.label("changed"), found.label("labels"))
    row = (await session.execute(state.select_from(edit.matched), parameters)).one()
    _check(row, selection, label_ids)
    return Edited(row.rows, row.changed)


def _check(row: AnyRow, selection: Selection, label_ids: tuple[int, ...] | None) -> None:
    if label_ids is not None and row.labels != len(set(label_ids)):
        raise NotFound("there is no such label", field="label")
    if selection.seen is not None and selection.seen != Preview(row.rows, row.digest):
        raise PreconditionFailed(
            f"the {selection.seen.count} transactions you saw have changed; it is"
            f" {row.rows} now: look again, then repeat",
            field="digest",
        )
