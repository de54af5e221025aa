"""A movement's page, and edits of one movement: on its page and in its row of the list."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlencode

from msgspec import structs
from quart import Blueprint, request, url_for
from quart.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from freshledger.chains import CHAINS, NETWORKS
from freshledger.contacts.addresses import insert_contact_address
from freshledger.errors import AppError, Conflict, Invalid
from freshledger.labels.repository import ensure_labels
from freshledger.merging import LostEdit
from freshledger.models import TYPES
from freshledger.transactions import choices, commands, display, repository
from freshledger.transactions.fields import MAX_NAME, MAX_NOTE, field_text, form_texts
from freshledger.transactions.filters import Selection
from freshledger.transactions.periods import Clock
from freshledger.web.context import ledger, viewer
from freshledger.web.forms import form_choices, form_text, form_version
from freshledger.web.preconditions import (
    Control,
    Text,
    choice,
    conflict_page,
    refused_deletion,
)
from freshledger.web.rendering import render, see_other
from freshledger.web.session import current_session

blueprint = Blueprint("edits", __name__)

ROOT = "/ledgers/<int:ledger_id>/transactions"
ONE = f"{ROOT}/<int:transaction_id>"
CONTROLS = {
    "type": Control("Type", "choice", tuple((kind, kind.capitalize()) for kind in TYPES)),
    "counterparty": Control("Counterparty"),
    "occurred_at": Control("Time"),
    "amount": Control("Amount"),
    "note": Control("Note", "lines", limit=MAX_NOTE),
    "contact": Control("Contact", limit=MAX_NAME),
}
"""The fields of the form that corrects a movement."""

_NAMES = {"contact_id": "contact"}
"""What a column is called in the form, where it is called otherwise."""


def is_editable() -> bool:
    """Tell whether the viewer may change the ledger in the path."""
    return ledger().allows("editor") and not ledger().archived


def back_to_list(form: MultiDict[str, str]) -> str:
    """Return the address of the list that the form was on, with its filter and place."""
    base = url_for("transactions.list_transactions", ledger_id=ledger().id)
    query = urlencode(parse_qsl(form_text(form, "back")))
    return f"{base}?{query}" if query else base


@blueprint.get(ONE)
async def show_transaction(ledger_id: int, transaction_id: int) -> ResponseReturnValue:
    """Show a movement with all that is known of it."""
    return await _show(ledger_id, transaction_id)


async def _show(
    ledger_id: int,
    transaction_id: int,
    error: AppError | None = None,
    values: Any = None,  # noqa: ANN401 - a form
) -> str:
    clock = Clock.of(viewer().time_zone)
    session = current_session()
    key = {"ledger_id": ledger_id, "transaction_id": transaction_id}
    row = await repository.get_transaction(session, **key)
    group = await repository.list_group(session, ledger_id=ledger_id, group_key=row.group_key)
    sources = await choices.list_sources(session, **key)
    texts = form_texts(structs.asdict(row) | {"amount": Decimal(row.amount)}, clock.zone)
    return await render(
        "transactions/show.html",
        row=display.shown_row(row, clock.zone),
        group=[display.shown_row(other, clock.zone) for other in group],
        sources=[(s, display.moment_text(s.created_at, clock.zone)) for s in sources],
        types=[(kind, kind.capitalize()) for kind in TYPES],
        values=values if values is not None else texts | {"contact": row.contact or ""},
        errors={error.field or "": error.sentence} if error else {},
        chain=CHAINS.get(row.chain or ""),
        zone=viewer().time_zone,
        editable=is_editable(),
        base=url_for("transactions.list_transactions", ledger_id=ledger_id),
    )


@blueprint.post(ONE)
async def correct_transaction(ledger_id: int, transaction_id: int) -> ResponseReturnValue:
    """Correct a movement by its form; a field that is wrong is 422, its values kept."""
    form = await request.form
    here = url_for(".show_transaction", ledger_id=ledger_id, transaction_id=transaction_id)
    try:
        return await _correct(ledger_id, transaction_id, form, CONTROLS, here)
    except (Invalid, Conflict) as error:
        return await _show(ledger_id, transaction_id, error, form), 422


@blueprint.post(f"{ONE}/note")
async def set_note(ledger_id: int, transaction_id: int) -> ResponseReturnValue:
    """Set the note of a row of the list."""
    form = await request.form
    return await _correct(ledger_id, transaction_id, form, ("note",), back_to_list(form))


@blueprint.post(f"{ONE}/contact")
async def set_contact(ledger_id: int, transaction_id: int) -> ResponseReturnValue:
    """Set the contact of a row of the list, or give it the row's address, which ties all of it."""
    form = await request.form
    if form.get("everywhere") and form_text(form, "contact").strip():
        return await _name_address(ledger_id, transaction_id, form)
    return await _correct(ledger_id, transaction_id, form, ("contact",), back_to_list(form))


async def _name_address(
    ledger_id: int, transaction_id: int, form: MultiDict[str, str]
) -> ResponseReturnValue:
    session = current_session()
    row = await repository.get_transaction(
        session, ledger_id=ledger_id, transaction_id=transaction_id
    )
    if not row.counterparty or row.network not in NETWORKS:
        raise Invalid("contact: this movement has no address that could be theirs", field="contact")
    contact_id = await choices.ensure_contact(
        session, ledger_id=ledger_id, name=form_text(form, "contact")
    )
    if contact_id is None:
        raise Invalid("contact: give it a name", field="contact")
    await insert_contact_address(
        session,
        ledger_id=ledger_id,
        contact_id=contact_id,
        network=row.network,
        address=row.counterparty,
    )
    notice = f"“{form_text(form, 'contact').strip()}” has this address now, everywhere."
    return see_other(back_to_list(form), notice=notice)


async def _correct(
    ledger_id: int,
    transaction_id: int,
    form: MultiDict[str, str],
    names: Iterable[str],
    to: str,
) -> ResponseReturnValue:
    """Correct the named fields that were edited; a lost edit is 412, with both values."""
    session, zone = current_session(), Clock.of(viewer().time_zone).zone
    key = {"ledger_id": ledger_id, "transaction_id": transaction_id}
    seen, sent = form_version(form), form_choices(form, names)
    row = await repository.get_transaction(session, **key)
    fields: dict[str, str | int | None] = {**sent}
    contact = str(fields.pop("contact", ""))
    left = {form.get("contact_was", row.contact or "").strip(), row.contact or ""}
    if "contact" in sent and contact.strip() not in left:
        fields["contact_id"] = await choices.ensure_contact(
            session, ledger_id=ledger_id, name=contact
        )
    try:
        edited = await commands.correct_by_form(session, sent=fields, zone=zone, seen=seen, **key)
    except LostEdit as lost:
        return await _lost(lost, key, sent, form)
    return see_other(to, notice="Saved." if edited else None)


async def _lost(
    lost: LostEdit, key: dict[str, int], sent: dict[str, str], form: MultiDict[str, str]
) -> ResponseReturnValue:
    """Show both values of an edit that came too late: nothing was changed."""
    row = await repository.get_transaction(current_session(), **key)
    text = await _texts(lost)
    shown = display.shown_row(row, Clock.of(viewer().time_zone).zone)
    kept = {_NAMES.get(name, name): sent[_NAMES.get(name, name)] for name in lost.rest}
    back = {"back": form["back"]} if "back" in form else {}
    here = url_for(".show_transaction", ledger_id=ledger().id, transaction_id=row.id)
    return await conflict_page(
        [
            choice(one, CONTROLS[name], yours=sent[name], text=text, name=name)
            for one in lost.lost
            for name in (_NAMES.get(one.field, one.field),)
        ],
        subject=f"{row.type.capitalize()} of {shown['amount_text']} {row.asset}, {shown['moment']}",
        keep_url=back_to_list(form) if back else here,
        kept=kept | back | {"version": lost.version},
    )


async def _texts(lost: LostEdit) -> Text:
    """Return what writes the values of a lost edit: a contact's id as its name."""
    zone = Clock.of(viewer().time_zone).zone
    ids = {value for one in lost.lost if one.field == "contact_id"
           for value in (one.theirs, one.base) if isinstance(value, int)}  # fmt: skip
    names = await choices.name_contacts(current_session(), ledger_id=ledger().id, ids=ids)

    def text(field: str, value: Any) -> str:  # noqa: ANN401 - a column's value
        if field == "contact_id":
            return names.get(value, "a contact that is gone") if value else ""
        return field_text(field, value, zone)

    return text


@blueprint.post(f"{ONE}/labels")
async def add_label(ledger_id: int, transaction_id: int) -> ResponseReturnValue:
    """Put a label, made if it is missing, on a movement or on its whole group."""
    session, form = current_session(), await request.form
    labels = await ensure_labels(session, ledger_id=ledger_id, names=[form_text(form, "label")])
    selection = Selection(ids=(transaction_id,))
    if form.get("group"):
        row = await repository.get_transaction(
            session, ledger_id=ledger_id, transaction_id=transaction_id
        )
        selection = Selection(group_key=row.group_key)
    edited = await commands.label_transactions(
        session, ledger_id=ledger_id, selection=selection, label_ids=tuple(labels.values())
    )
    several = f" on {edited.matched:,} movements" if edited.matched > 1 else ""
    return see_other(_back(form, transaction_id), notice=f"Labelled{several}.")


@blueprint.post(f"{ONE}/labels/<int:label_id>/delete")
async def remove_label(ledger_id: int, transaction_id: int, label_id: int) -> ResponseReturnValue:
    """Take a label off a movement."""
    form = await request.form
    await commands.unlabel_transactions(
        current_session(),
        ledger_id=ledger_id,
        selection=Selection(ids=(transaction_id,)),
        label_ids=(label_id,),
    )
    return see_other(_back(form, transaction_id), notice="Label removed.")


def _back(form: MultiDict[str, str], transaction_id: int) -> str:
    """Return where the form was: a row of the list, or the movement's page."""
    if "back" in form:
        return back_to_list(form)
    return url_for(".show_transaction", ledger_id=ledger().id, transaction_id=transaction_id)


@blueprint.post(f"{ONE}/delete")
async def delete_transaction(ledger_id: int, transaction_id: int) -> ResponseReturnValue:
    """Delete a movement; an import does not bring it back."""
    form = await request.form
    key = {"ledger_id": ledger_id, "transaction_id": transaction_id}
    try:
        await repository.delete_transaction(current_session(), seen=form_version(form), **key)
    except LostEdit as lost:
        controls = CONTROLS | {column: CONTROLS[name] for column, name in _NAMES.items()}
        error = refused_deletion(lost, controls, await _texts(lost))
        return await _show(ledger_id, transaction_id, error), 412
    return see_other(back_to_list(form), notice="Deleted. Importing its file again leaves it out.")
