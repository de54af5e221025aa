"""Edits of selected rows and of all that a filter lets in, and filters saved by name."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from quart import Blueprint, request, url_for
from quart.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from freshledger.errors import Invalid, PreconditionFailed
from freshledger.labels.repository import ensure_labels
from freshledger.transactions import bulk, choices, commands, saved_filters
from freshledger.transactions.bulk import Edited
from freshledger.transactions.edits import back_to_list
from freshledger.transactions.filters import Preview, Selection, TransactionFilter
from freshledger.transactions.periods import Clock
from freshledger.transactions.repository import find_names
from freshledger.transactions.values import parse_id
from freshledger.web.context import requires, viewer
from freshledger.web.forms import form_number, form_text
from freshledger.web.rendering import render, see_other
from freshledger.web.session import current_session

blueprint = Blueprint("selections", __name__)

ROOT = "/ledgers/<int:ledger_id>/transactions"
EDITS = {
    "label": ("Put the label “{text}” on {count}?", "“{text}” put on {count}."),
    "unlabel": ("Take the label “{text}” off {count}?", "“{text}” taken off {count}."),
    "note": ("Set the note of {count}?", "Note set on {count}."),
    "contact": ("Set the contact of {count} to “{text}”?", "Contact “{text}” set on {count}."),
    "clear note": ("Clear the note of {count}?", "Note cleared on {count}."),
    "clear contact": ("Unset the contact of {count}?", "Contact unset on {count}."),
}
"""What can be done with many at once: the question before, and the sentence after it."""

FIELDS = {"label": "label", "unlabel": "label", "note": "note", "contact": "contact"}
"""The field of the form that each edit reads."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be done: an edit, its text, and the query of the filter it is for."""

    edit: str
    text: str
    query: str

    def say(self, sentence: int, count: int) -> str:
        """Return the question (0) or the sentence afterwards (1) for a number of transactions."""
        words = EDITS[self.edit if self.text else f"clear {self.edit}"][sentence]
        return words.format(text=self.text, count=_transactions(count))

    @property
    def where(self) -> TransactionFilter:
        """The filter; raises Invalid."""
        return TransactionFilter.from_args(parse_qsl(self.query))


@blueprint.post(f"{ROOT}/bulk")
async def edit_selection(ledger_id: int) -> ResponseReturnValue:
    """Edit the selected rows; or all matches, which are shown before, and are then exactly those."""
    form = await request.form
    wish = _wish(form)
    if form.get("every") and not form.get("digest"):
        query = urlencode({"do": wish.edit, "text": wish.text, "where": wish.query})
        back = urlencode({"back": form_text(form, "back")})
        address = url_for(".confirm_edit", ledger_id=ledger_id)
        return see_other(f"{address}?{query}&{back}")
    session = current_session()
    try:
        edited = await _apply(session, ledger_id, wish, _selection(form, wish))
    except PreconditionFailed:
        return await _confirm(session, ledger_id, wish, changed=True), 412
    return see_other(back_to_list(form), notice=wish.say(1, edited.changed))


@blueprint.get(f"{ROOT}/bulk")
@requires("editor")
async def confirm_edit(ledger_id: int) -> ResponseReturnValue:
    """Say what an edit of all matches would do: it is done to this set or not at all."""
    session = current_session()
    return await _confirm(session, ledger_id, _wish(request.args))


async def _confirm(
    session: Any,  # noqa: ANN401 - a session
    ledger_id: int,
    wish: Wish,
    *,
    changed: bool = False,
) -> str:
    clock = Clock.of(viewer().time_zone)
    selection = Selection(where=wish.where, clock=clock)
    seen = await bulk.preview(session, ledger_id=ledger_id, selection=selection)
    names = await find_names(session, ledger_id=ledger_id, where=wish.where)
    given = await request.values
    return await render(
        "transactions/confirm.html",
        block="page",
        wish=wish,
        seen=seen,
        question=wish.say(0, seen.count),
        verb=f"Yes, change {_transactions(seen.count)}",
        changed=changed,
        terms=[(chip.text, chip.term.negated) for chip in wish.where.summary(names)],
        back=form_text(given, "back"),
        back_url=back_to_list(given),
        action=url_for(".edit_selection", ledger_id=ledger_id),
    )


def _wish(form: MultiDict[str, str]) -> Wish:
    edit = form_text(form, "do")
    if edit not in FIELDS:
        raise Invalid(f"do: must be one of {', '.join(FIELDS)}", field="do")
    text = form_text(form, "text" if "text" in form else FIELDS[edit]).strip()
    if not text and FIELDS[edit] == "label":
        raise Invalid("label: which one?", field="label")
    return Wish(edit, text, form_text(form, "where"))


def _selection(form: MultiDict[str, str], wish: Wish) -> Selection:
    if form.get("every"):
        seen = Preview(form_number(form, "count") or 0, form_text(form, "digest"))
        return Selection(where=wish.where, clock=Clock.of(viewer().time_zone), seen=seen)
    ids = tuple(parse_id(text, "id") for text in form.getlist("id"))
    if not ids:
        raise Invalid("id: select some transactions first", field="id")
    return Selection(ids=ids)


async def _apply(
    session: Any,  # noqa: ANN401 - a session
    ledger_id: int,
    wish: Wish,
    selection: Selection,
) -> Edited:
    where: dict[str, Any] = {"ledger_id": ledger_id, "selection": selection}
    if wish.edit == "note":
        return await commands.annotate_transactions(session, note=wish.text, **where)
    if wish.edit == "contact":
        contact_id = await choices.ensure_contact(session, ledger_id=ledger_id, name=wish.text)
        return await commands.assign_contact(session, contact_id=contact_id, **where)
    if wish.edit == "unlabel":
        gone = await choices.find_label(session, ledger_id=ledger_id, name=wish.text)
        return await commands.unlabel_transactions(session, label_ids=(gone,), **where)
    made = await ensure_labels(session, ledger_id=ledger_id, names=[wish.text])
    return await commands.label_transactions(session, label_ids=tuple(made.values()), **where)


def _transactions(count: int) -> str:
    return f"{count:,} transaction" + ("" if count == 1 else "s")


@blueprint.post(f"{ROOT}/saved-filters")
async def save_filter(ledger_id: int) -> ResponseReturnValue:
    """Save the filter of a list by name, for this user alone."""
    form = await request.form
    where = TransactionFilter.from_args(parse_qsl(form_text(form, "where")))
    if not where.terms:
        raise Invalid("where: there is no filter to save", field="where")
    name = await saved_filters.insert_saved_filter(
        current_session(),
        ledger_id=ledger_id,
        user_id=viewer().user_id,
        name=form_text(form, "name"),
        query=urlencode(where.to_args()),
    )
    return see_other(back_to_list(form), notice=f"Filter “{name}” saved.")


@blueprint.post(f"{ROOT}/saved-filters/<int:filter_id>/delete")
async def delete_filter(ledger_id: int, filter_id: int) -> ResponseReturnValue:
    """Forget a saved filter."""
    form = await request.form
    name = await saved_filters.delete_saved_filter(
        current_session(), ledger_id=ledger_id, user_id=viewer().user_id, filter_id=filter_id
    )
    return see_other(back_to_list(form), notice=f"Filter “{name}” deleted.")
