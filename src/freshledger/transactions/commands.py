"""What a person does with transactions: make, correct, label, note, tie to a contact."""

from dataclasses import replace
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from freshledger.errors import Invalid, NotFound
from freshledger.merging import Seen
from freshledger.transactions import bulk, repository
from freshledger.transactions.bulk import Edited
from freshledger.transactions.fields import (
    CREATABLE,
    REQUIRED,
    Fields,
    clean_note,
    form_texts,
    is_same_text,
    parse_fields,
)
from freshledger.transactions.filters import Selection
from freshledger.transactions.rows import TransactionRow

CORRECTABLE = frozenset(repository.CORRECTABLE)


async def create_transaction(
    session: AsyncSession,
    *,
    ledger_id: int,
    fields: Fields,
    label_ids: tuple[int, ...] = (),
    zone: ZoneInfo | None = None,
) -> TransactionRow:
    """Insert a movement made by hand; raises Invalid naming the field, NotFound for a label."""
    for name in REQUIRED:
        if fields.get(name) in {None, ""}:
            raise Invalid(f"{name}: this is needed", field=name)
    values = parse_fields(fields, allowed=CREATABLE, zone=zone)
    if values.get("status") == "failed" and values["amount"]:
        raise Invalid("amount: a failed transaction moves nothing; its amount is 0", field="amount")
    wallet_id, contact_id = values["wallet_id"], values.get("contact_id")
    await repository.lock_references(
        session, ledger_id=ledger_id, wallet_id=wallet_id, contact_id=contact_id
    )
    made = await repository.insert_transaction(session, ledger_id=ledger_id, values=values)
    if label_ids:
        selection = Selection(ids=(made,))
        await label_transactions(
            session, ledger_id=ledger_id, selection=selection, label_ids=label_ids
        )
    return await repository.get_transaction(session, ledger_id=ledger_id, transaction_id=made)


async def correct_transaction(
    session: AsyncSession,
    *,
    ledger_id: int,
    transaction_id: int,
    fields: Fields,
    seen: Seen | None = None,
) -> TransactionRow:
    """Correct type, counterparty, occurred_at, amount, note or contact_id of a movement.

    An import leaves what was corrected alone. Raises Invalid naming the field, NotFound, and
    LostEdit where the same was changed since the movement was seen.
    """
    key = {"ledger_id": ledger_id, "transaction_id": transaction_id}
    values = parse_fields(fields, allowed=CORRECTABLE)
    await repository.lock_references(
        session, ledger_id=ledger_id, wallet_id=None, contact_id=values.get("contact_id")
    )
    past = await repository.hold_transaction(session, seen=seen, **key)
    await repository.update_transaction(session, past=past, values=values, **key)
    return await repository.get_transaction(session, **key)


async def correct_by_form(
    session: AsyncSession,
    *,
    ledger_id: int,
    transaction_id: int,
    sent: Fields,
    zone: ZoneInfo,
    seen: Seen,
) -> bool:
    """Correct a movement by the texts of a form, as form_texts writes them.

    Returns whether any of them was edited; raises as correct_transaction does. A contact is
    given by its id, and is never one that was left alone.
    """
    key = {"ledger_id": ledger_id, "transaction_id": transaction_id}
    contact = {name: value for name, value in sent.items() if name == "contact_id"}
    tied = parse_fields(contact, allowed=CORRECTABLE)
    await repository.lock_references(
        session, ledger_id=ledger_id, wallet_id=None, contact_id=tied.get("contact_id")
    )
    past = await repository.hold_transaction(session, seen=seen, **key)
    then = form_texts(past.base, zone)
    edited = {
        name: text
        for name, text in sent.items()
        if name in then and not is_same_text(name, str(text), then[name])
    }
    values = parse_fields(edited, allowed=CORRECTABLE, zone=zone) | tied
    await repository.update_transaction(session, past=past, values=values, **key)
    return bool(values)


async def label_transactions(
    session: AsyncSession, *, ledger_id: int, selection: Selection, label_ids: tuple[int, ...]
) -> Edited:
    """Put labels on a selection; raises NotFound, and PreconditionFailed if the set changed."""
    selection = _tidy(selection)
    edited = await bulk.insert_labels(
        session, ledger_id=ledger_id, selection=selection, label_ids=label_ids
    )
    return _some(edited, selection)


async def unlabel_transactions(
    session: AsyncSession, *, ledger_id: int, selection: Selection, label_ids: tuple[int, ...]
) -> Edited:
    """Take labels off a selection; raises as label_transactions does."""
    selection = _tidy(selection)
    edited = await bulk.delete_labels(
        session, ledger_id=ledger_id, selection=selection, label_ids=label_ids
    )
    return _some(edited, selection)


async def annotate_transactions(
    session: AsyncSession, *, ledger_id: int, selection: Selection, note: str
) -> Edited:
    """Set the note of a selection; raises as label_transactions does, and Invalid."""
    selection = _tidy(selection)
    edited = await bulk.update_notes(
        session, ledger_id=ledger_id, selection=selection, note=clean_note(note)
    )
    return _some(edited, selection)


async def assign_contact(
    session: AsyncSession, *, ledger_id: int, selection: Selection, contact_id: int | None
) -> Edited:
    """Set the contact of a selection by hand; None leaves it to the counterparties again."""
    selection = _tidy(selection)
    await repository.lock_references(
        session, ledger_id=ledger_id, wallet_id=None, contact_id=contact_id
    )
    edited = await bulk.update_contacts(
        session, ledger_id=ledger_id, selection=selection, contact_id=contact_id
    )
    return _some(edited, selection)


def _tidy(selection: Selection) -> Selection:
    if selection.ids is None:
        return selection
    return replace(selection, ids=tuple(sorted(set(selection.ids))))


def _some(edited: Edited, selection: Selection) -> Edited:
    """Refuse ids and groups of which nothing is there; a filter may let nothing in."""
    if not edited.matched and selection.where is None:
        raise NotFound("there is no such transaction")
    return edited
