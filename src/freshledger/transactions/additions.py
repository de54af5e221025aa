"""Movements that no file has: the form that adds one by hand."""

from typing import Any

from quart import Blueprint, request, url_for
from quart.typing import ResponseReturnValue

from freshledger.errors import AppError, Invalid
from freshledger.labels.repository import ensure_labels
from freshledger.models import STATUSES, TYPES
from freshledger.transactions import choices, commands
from freshledger.transactions.filters import Selection
from freshledger.transactions.periods import Clock
from freshledger.web.context import requires, viewer
from freshledger.web.forms import form_text
from freshledger.web.freshness import unversioned
from freshledger.web.rendering import render, see_other
from freshledger.web.session import all_or_nothing, current_session

blueprint = Blueprint("additions", __name__)

ROOT = "/ledgers/<int:ledger_id>/transactions"
NEW_FIELDS = (
    "wallet_id", "type", "status", "asset", "contract", "amount", "occurred_at", "chain",
    "counterparty", "txid", "note",
)  # fmt: skip


@blueprint.get(f"{ROOT}/new")
@unversioned("clock")
@requires("editor")
async def new_transaction(ledger_id: int) -> ResponseReturnValue:
    """Ask for a movement that no file has."""
    now = Clock.of(viewer().time_zone)
    local = now.now.astimezone(now.zone).replace(tzinfo=None)
    values = {"occurred_at": local.isoformat(timespec="minutes"), "type": "receive"}
    return await _ask_new(ledger_id, values | dict(request.args))


@blueprint.post(ROOT)
async def create_transaction(ledger_id: int) -> ResponseReturnValue:
    """Add a movement by hand, with its labels."""
    form = await request.form
    try:
        async with all_or_nothing() as session:
            made = await commands.create_transaction(
                session,
                ledger_id=ledger_id,
                fields={name: form_text(form, name) for name in NEW_FIELDS},
                zone=Clock.of(viewer().time_zone).zone,
            )
            names = [name.strip() for name in form_text(form, "labels").split(",") if name.strip()]
            labels = await ensure_labels(session, ledger_id=ledger_id, names=names)
            if labels:
                await commands.label_transactions(
                    session,
                    ledger_id=ledger_id,
                    selection=Selection(ids=(made.id,)),
                    label_ids=tuple(labels.values()),
                )
    except Invalid as error:
        return await _ask_new(ledger_id, form, error), 422
    to = url_for("transactions.edits.show_transaction", ledger_id=ledger_id, transaction_id=made.id)
    return see_other(to, notice="Added.")


async def _ask_new(ledger_id: int, values: Any, error: AppError | None = None) -> str:  # noqa: ANN401 - a form
    wallets = await choices.list_wallet_names(current_session(), ledger_id=ledger_id)
    return await render(
        "transactions/new.html",
        wallets=wallets,
        types=[(kind, kind.capitalize()) for kind in TYPES],
        statuses=[(status, status.capitalize()) for status in STATUSES],
        values=values,
        errors={error.field or "": error.sentence} if error else {},
        zone=viewer().time_zone,
        base=url_for("transactions.list_transactions", ledger_id=ledger_id),
    )
