"""The pages of contacts: the list with its form, and a page for each contact."""

from quart import Blueprint, request, url_for
from quart.typing import ResponseReturnValue

from freshledger import named
from freshledger.contacts import addresses, commands, repository, suggestions
from freshledger.errors import AppError, Conflict, Invalid, PreconditionFailed
from freshledger.merging import LostEdit
from freshledger.paging import Cursor, decode_cursor
from freshledger.web.errors import STATUSES
from freshledger.web.forms import form_choices, form_id, form_text, form_version
from freshledger.web.preconditions import Control, choice, conflict_page, refused_deletion
from freshledger.web.rendering import render, see_other
from freshledger.web.session import all_or_nothing, current_session

blueprint = Blueprint("contacts", __name__)

ROOT = "/ledgers/<int:ledger_id>/contacts"
ONE = f"{ROOT}/<int:contact_id>"

SHOWN = (Invalid, Conflict, PreconditionFailed)
"""What is said on the page, beside what was entered."""

CONTROLS = {
    "name": Control("Name", limit=named.MAX_NAME),
    "note": Control("Note", "lines", limit=named.MAX_NOTE),
}
"""What a contact's form edits."""


@blueprint.get(ROOT)
async def list_contacts(ledger_id: int) -> ResponseReturnValue:
    """Show a page of contacts, the form that makes one, and addresses worth a name."""
    return await _list(ledger_id)


@blueprint.post(ROOT)
async def create_contact(ledger_id: int) -> ResponseReturnValue:
    """Make a contact, with its first address if one is given."""
    form = await request.form
    try:
        async with all_or_nothing() as session:
            contact_id = await repository.insert_contact(
                session, ledger_id=ledger_id, name=form_text(form, "name")
            )
            if form_text(form, "address").strip():
                await _insert_address(ledger_id, contact_id)
    except SHOWN as error:
        return await _list(ledger_id, error), STATUSES[type(error)]
    return _to(ledger_id, contact_id, "Contact made.")


@blueprint.get(f"{ROOT}/options")
async def list_options(ledger_id: int) -> ResponseReturnValue:
    """Give the names that go with what is being typed, as the options of a datalist."""
    q = request.args.get("q", "").strip()
    found = await repository.find_contacts(current_session(), ledger_id=ledger_id, q=q)
    return await render("contacts/options.html", names=[name for _, name in found])


@blueprint.get(ONE)
async def show_contact(ledger_id: int, contact_id: int) -> ResponseReturnValue:
    """Show a contact: its addresses and its forms."""
    return await _show(ledger_id, contact_id)


@blueprint.post(ONE)
async def edit_contact(ledger_id: int, contact_id: int) -> ResponseReturnValue:
    """Rename a contact and set its note; both texts of a lost edit are shown, 412."""
    form = await request.form
    sent, seen = form_choices(form, CONTROLS), form_version(form)
    if not sent:
        return _to(ledger_id, contact_id, "Left as it was.")
    try:
        await repository.update_contact(
            current_session(),
            ledger_id=ledger_id,
            contact_id=contact_id,
            name=sent.get("name"),
            note=sent.get("note"),
            seen=seen,
        )
    except LostEdit as lost:
        return await _lost(ledger_id, contact_id, lost, sent)
    except SHOWN as error:
        return await _show(ledger_id, contact_id, error), STATUSES[type(error)]
    return _to(ledger_id, contact_id, "Saved.")


@blueprint.post(f"{ONE}/addresses")
async def add_address(ledger_id: int, contact_id: int) -> ResponseReturnValue:
    """Give a contact one more address."""
    try:
        await _insert_address(ledger_id, contact_id)
    except SHOWN as error:
        return await _show(ledger_id, contact_id, error), STATUSES[type(error)]
    return _to(ledger_id, contact_id, "Address added: it counts for past and future transactions.")


@blueprint.post(f"{ONE}/addresses/<int:address_id>/delete")
async def remove_address(ledger_id: int, contact_id: int, address_id: int) -> ResponseReturnValue:
    """Take an address away from a contact."""
    await addresses.delete_contact_address(
        current_session(), ledger_id=ledger_id, contact_id=contact_id, address_id=address_id
    )
    return _to(ledger_id, contact_id, "Address removed.")


@blueprint.post(f"{ONE}/merge")
async def merge_contact(ledger_id: int, contact_id: int) -> ResponseReturnValue:
    """Merge a contact into the one of the name that was typed."""
    session, form = current_session(), await request.form
    try:
        into = await repository.get_contact_named(
            session, ledger_id=ledger_id, name=form_text(form, "into"), field="into"
        )
        gone = await repository.get_contact(session, ledger_id=ledger_id, contact_id=contact_id)
        await commands.merge_contacts(session, ledger_id=ledger_id, gone=contact_id, kept=into)
    except SHOWN as error:
        return await _show(ledger_id, contact_id, error), STATUSES[type(error)]
    return _to(ledger_id, into, f"Contact “{gone.name}” merged into this one.")


@blueprint.post(f"{ONE}/delete")
async def delete_contact(ledger_id: int, contact_id: int) -> ResponseReturnValue:
    """Delete a contact that has as many transactions as the form says."""
    session, form = current_session(), await request.form
    try:
        contact = await repository.get_contact(session, ledger_id=ledger_id, contact_id=contact_id)
        await commands.delete_contact(
            session,
            ledger_id=ledger_id,
            contact_id=contact_id,
            seen=form_version(form),
            transactions=form_id(form, "transactions"),
        )
    except LostEdit as lost:
        return await _show(ledger_id, contact_id, refused_deletion(lost, CONTROLS)), 412
    except SHOWN as error:
        return await _show(ledger_id, contact_id, error), STATUSES[type(error)]
    notice = f"Contact “{contact.name}” deleted."
    return see_other(url_for(".list_contacts", ledger_id=ledger_id), notice=notice)


async def _insert_address(ledger_id: int, contact_id: int) -> None:
    form = await request.form
    await addresses.insert_contact_address(
        current_session(),
        ledger_id=ledger_id,
        contact_id=contact_id,
        network=form_text(form, "network"),
        address=form_text(form, "address"),
    )


async def _lost(
    ledger_id: int, contact_id: int, lost: LostEdit, sent: dict[str, str]
) -> ResponseReturnValue:
    contact = await repository.get_contact(
        current_session(), ledger_id=ledger_id, contact_id=contact_id
    )
    return await conflict_page(
        [choice(one, CONTROLS[one.field], yours=sent[one.field]) for one in lost.lost],
        subject=f"Contact “{contact.name}”",
        keep_url=url_for(".show_contact", ledger_id=ledger_id, contact_id=contact_id),
        kept={name: sent[name] for name in lost.rest} | {"version": lost.version},
    )


def _to(ledger_id: int, contact_id: int, notice: str) -> ResponseReturnValue:
    location = url_for(".show_contact", ledger_id=ledger_id, contact_id=contact_id)
    return see_other(location, notice=notice)


async def _list(ledger_id: int, error: AppError | None = None) -> str:
    q = " ".join(request.args.get("q", "").split())
    given = request.args.get("cursor")
    cursor = decode_cursor(given, scope=repository.scope(q), columns=2) if given else Cursor()
    session = current_session()
    page = await repository.list_contacts(session, ledger_id=ledger_id, q=q, cursor=cursor)
    total = await repository.count_contacts(session, ledger_id=ledger_id)
    met = await suggestions.list_suggestions(session, ledger_id=ledger_id)
    return await render(
        "contacts/list.html",
        page=page,
        total=total,
        q=q,
        suggestions=met,
        counted=repository.COUNTED,
        form=await request.form or request.args,
        error=error,
    )


async def _show(ledger_id: int, contact_id: int, error: AppError | None = None) -> str:
    session = current_session()
    contact = await repository.get_contact(session, ledger_id=ledger_id, contact_id=contact_id)
    names = await repository.find_contacts(session, ledger_id=ledger_id, limit=200)
    return await render(
        "contacts/show.html",
        contact=contact,
        names=[name for key, name in names if key != contact_id],
        counted=repository.COUNTED,
        form=await request.form,
        error=error,
    )
