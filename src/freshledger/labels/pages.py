"""The pages of labels: the list with its form, and a page for each label."""

from quart import Blueprint, request, url_for
from quart.typing import ResponseReturnValue

from freshledger import named
from freshledger.errors import AppError, Conflict, Invalid, PreconditionFailed
from freshledger.labels import commands, repository
from freshledger.merging import LostEdit
from freshledger.models import COLORS
from freshledger.web.errors import STATUSES
from freshledger.web.forms import form_choices, form_id, form_text, form_version
from freshledger.web.preconditions import Control, choice, conflict_page, refused_deletion
from freshledger.web.rendering import render, see_other
from freshledger.web.session import current_session

blueprint = Blueprint("labels", __name__)

ROOT = "/ledgers/<int:ledger_id>/labels"
ONE = f"{ROOT}/<int:label_id>"

SHOWN = (Invalid, Conflict, PreconditionFailed)
"""What is said on the page, beside what was entered."""

CONTROLS = {
    "name": Control("Name", limit=named.MAX_NAME),
    "color": Control("Colour", "choice", tuple((color, color) for color in COLORS)),
}
"""What a label's form edits."""


@blueprint.get(ROOT)
async def list_labels(ledger_id: int) -> ResponseReturnValue:
    """Show all labels, and the form that makes one."""
    return await _list(ledger_id)


@blueprint.post(ROOT)
async def create_label(ledger_id: int) -> ResponseReturnValue:
    """Make a label."""
    form = await request.form
    try:
        await repository.insert_label(
            current_session(),
            ledger_id=ledger_id,
            name=form_text(form, "name"),
            color=form.get("color") or None,
        )
    except SHOWN as error:
        return await _list(ledger_id, error), STATUSES[type(error)]
    notice = f"Label “{named.clean_name(form_text(form, 'name'))}” made."
    return see_other(url_for(".list_labels", ledger_id=ledger_id), notice=notice)


@blueprint.get(f"{ROOT}/options")
async def list_options(ledger_id: int) -> ResponseReturnValue:
    """Give the names that go with what is being typed, as the options of a datalist."""
    q = request.args.get("q", "").strip()
    found = await repository.find_labels(current_session(), ledger_id=ledger_id, q=q)
    return await render("labels/options.html", names=[name for _, name, _ in found])


@blueprint.get(ONE)
async def show_label(ledger_id: int, label_id: int) -> ResponseReturnValue:
    """Show a label: its form, merging and deleting."""
    return await _show(ledger_id, label_id)


@blueprint.post(ONE)
async def edit_label(ledger_id: int, label_id: int) -> ResponseReturnValue:
    """Rename or recolour a label; both values of a lost edit are shown, 412."""
    form = await request.form
    sent, seen = form_choices(form, CONTROLS), form_version(form)
    done = url_for(".list_labels", ledger_id=ledger_id)
    if not sent:
        return see_other(done, notice="Left as it was.")
    try:
        await repository.update_label(
            current_session(),
            ledger_id=ledger_id,
            label_id=label_id,
            name=sent.get("name"),
            color=sent.get("color") or None,
            seen=seen,
        )
    except LostEdit as lost:
        return await _lost(ledger_id, label_id, lost, sent)
    except SHOWN as error:
        return await _show(ledger_id, label_id, error), STATUSES[type(error)]
    return see_other(done, notice="Label saved.")


@blueprint.post(f"{ONE}/merge")
async def merge_label(ledger_id: int, label_id: int) -> ResponseReturnValue:
    """Merge a label into another."""
    session = current_session()
    try:
        into = form_id(await request.form, "into")
        gone = await repository.get_label(session, ledger_id=ledger_id, label_id=label_id)
        await commands.merge_labels(session, ledger_id=ledger_id, gone=label_id, kept=into)
    except SHOWN as error:
        return await _show(ledger_id, label_id, error), STATUSES[type(error)]
    kept = await repository.get_label(session, ledger_id=ledger_id, label_id=into)
    notice = f"Label “{gone.name}” merged into “{kept.name}”."
    return see_other(url_for(".list_labels", ledger_id=ledger_id), notice=notice)


@blueprint.post(f"{ONE}/delete")
async def delete_label(ledger_id: int, label_id: int) -> ResponseReturnValue:
    """Delete a label that is used as often as the form says."""
    session, form = current_session(), await request.form
    try:
        label = await repository.get_label(session, ledger_id=ledger_id, label_id=label_id)
        await commands.delete_label(
            session,
            ledger_id=ledger_id,
            label_id=label_id,
            seen=form_version(form),
            transactions=form_id(form, "transactions"),
        )
    except LostEdit as lost:
        return await _show(ledger_id, label_id, refused_deletion(lost, CONTROLS)), 412
    except SHOWN as error:
        return await _show(ledger_id, label_id, error), STATUSES[type(error)]
    notice = f"Label “{label.name}” deleted."
    return see_other(url_for(".list_labels", ledger_id=ledger_id), notice=notice)


async def _lost(
    ledger_id: int, label_id: int, lost: LostEdit, sent: dict[str, str]
) -> ResponseReturnValue:
    label = await repository.get_label(current_session(), ledger_id=ledger_id, label_id=label_id)
    return await conflict_page(
        [choice(one, CONTROLS[one.field], yours=sent[one.field]) for one in lost.lost],
        subject=f"Label “{label.name}”",
        keep_url=url_for(".show_label", ledger_id=ledger_id, label_id=label_id),
        kept={name: sent[name] for name in lost.rest} | {"version": lost.version},
    )


async def _list(ledger_id: int, error: AppError | None = None) -> str:
    q = request.args.get("q", "").strip()
    labels = await repository.list_labels(current_session(), ledger_id=ledger_id, q=q)
    return await render(
        "labels/list.html",
        labels=labels,
        q=q,
        colors=COLORS,
        next_color=COLORS[1:][len(labels) % (len(COLORS) - 1)],
        form=await request.form,
        error=error,
    )


async def _show(ledger_id: int, label_id: int, error: AppError | None = None) -> str:
    session = current_session()
    label = await repository.get_label(session, ledger_id=ledger_id, label_id=label_id)
    others = await repository.find_labels(session, ledger_id=ledger_id, limit=1000)
    return await render(
        "labels/show.html",
        label=label,
        others=[(key, name) for key, name, _ in others if key != label_id],
        colors=COLORS,
        form=await request.form,
        error=error,
    )
