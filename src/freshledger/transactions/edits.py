"""A movement's page, and edits of one movement: on its page and in its row of the list."""

from contextlib import suppress
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

from quart import Blueprint, request, url_for
from quart.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from freshledger.chains import CHAINS, NETWORKS
from freshledger.contacts.addresses import insert_contact_address
from freshledger.errors import AppError, Conflict, Invalid, PreconditionFailed
from freshledger.labels.repository import ensure_labels
from freshledger.models import TYPES
from freshledger.transactions import choices, commands, display, repository
from freshledger.transactions.filters import Selection
from freshledger.transactions.periods import Clock
from freshledger.transactions.rows import TransactionRow
from freshledger.web.context import ledger, viewer
from freshledger.web.forms import form_text, form_version
from freshledger.web.rendering import render, see_other
from freshledger.web.session import current_session

blueprint = Blueprint("edits", __name__)

ROOT = "/ledgers/<int:ledger_id>/transactions"
ONE = f"{ROOT}/<int:transaction_id>"
TITLES = {
    "type": "Type",
    "counterparty": "Counterparty",
    "occurred_at": "Time",
    "amount": "Amount",
    "note": "Note",
    "contact": "Contact",
}
"""The fields of the form that corrects a movement, in its order."""


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
    return await render(
        "transactions/show.html",
        row=display.shown_row(row, clock.zone),
        group=display.shown_rows(group, zone=clock.zone, together=False),
        sources=[(s, display.moment_text(s.created_at, clock.zone)) for s in sources],
        types=[(kind, kind.capitalize()) for kind in TYPES],
        values=values if values is not None else _form_values(row),
        errors={error.field or "": error.sentence} if error else {},
        chain=CHAINS.get(row.chain or ""),
        zone=viewer().time_zone,
        editable=is_editable(),
        base=url_for("transactions.list_transactions", ledger_id=ledger_id),
    )


def _form_values(row: TransactionRow) -> dict[str, str]:
    """Return the fields of the form as they are for the row."""
    zone = Clock.of(viewer().time_zone).zone
    shown = display.shown_row(row, zone)
    local = row.occurred_at.astimezone(zone).replace(tzinfo=None)
    return {
        "type": row.type,
        "counterparty": shown["counterparty"] or "",
        "occurred_at": local.isoformat(timespec="milliseconds" if local.microsecond else "seconds"),
        "amount": shown["amount_text"],
        "note": row.note,
        "contact": row.contact or "",
    }


@blueprint.post(ONE)
async def correct_transaction(ledger_id: int, transaction_id: int) -> ResponseReturnValue:
    """Correct a movement by its form; a field that is wrong is 422, its values kept."""
    form = await request.form
    here = url_for(".show_transaction", ledger_id=ledger_id, transaction_id=transaction_id)
    try:
        return await _correct(ledger_id, transaction_id, form, TITLES, here)
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
    names: Any,  # noqa: ANN401 - an iterable of names
    to: str,
) -> ResponseReturnValue:
    """Correct the named fields that differ; a lost edit is 412, with both values."""
    session, zone = current_session(), Clock.of(viewer().time_zone).zone
    key = {"ledger_id": ledger_id, "transaction_id": transaction_id}
    row = await repository.get_transaction(session, **key)
    there = _form_values(row)
    yours = {name: form_text(form, name).replace("\r\n", "\n") for name in names}
    changed = {name: text for name, text in yours.items() if not _is_same(name, text, there[name])}
    if not changed:
        return see_other(to)
    if form_version(form) not in {None, row.version}:
        return await _lost(row, yours, there, form), 412
    fields: dict[str, Any] = {name: text for name, text in changed.items() if name != "contact"}
    if "contact" in changed:
        fields["contact_id"] = await choices.ensure_contact(
            session, ledger_id=ledger_id, name=changed["contact"]
        )
    try:
        await commands.correct_transaction(
            session, fields=fields, zone=zone, version=form_version(form), **key
        )
    except PreconditionFailed:
        row = await repository.get_transaction(session, **key)
        return await _lost(row, yours, _form_values(row), form), 412
    return see_other(to, notice="Saved.")


def _is_same(name: str, text: str, there: str) -> bool:
    """Tell whether a field was left as it is; browsers write the same time in other ways."""
    if name == "occurred_at":
        with suppress(ValueError):
            return datetime.fromisoformat(text) == datetime.fromisoformat(there)
    return text.strip() == there.strip()


async def _lost(
    row: TransactionRow, yours: dict[str, str], theirs: dict[str, str], form: MultiDict[str, str]
) -> str:
    """Show both values of an edit that came too late: nothing was changed."""
    return await render(
        "transactions/conflict.html",
        block="page",
        fields=[
            (TITLES[name], theirs[name], text)
            for name, text in yours.items()
            if not _is_same(name, text, theirs[name])
        ],
        values=yours | {"version": row.version, "back": form_text(form, "back")},
        action=request.path,
        keep_url=back_to_list(form),
        row=display.shown_row(row, Clock.of(viewer().time_zone).zone),
    )


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
    await repository.delete_transaction(
        current_session(),
        ledger_id=ledger_id,
        transaction_id=transaction_id,
        version=form_version(form),
    )
    return see_other(back_to_list(form), notice="Deleted. Importing its file again leaves it out.")
