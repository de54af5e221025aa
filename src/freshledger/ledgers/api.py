"""Ledgers for programs, and the note of when a token was last used."""

import logging
from datetime import UTC, datetime, timedelta
from typing import cast

import msgspec
from quart import Blueprint, Quart, Response, current_app
from quart.typing import ResponseReturnValue
from quart_schema import document_response, tag_blueprint

from freshledger.database import AnyRow, refusal
from freshledger.errors import Busy
from freshledger.ledgers import commands, repository, tokens
from freshledger.web.api import json_response
from freshledger.web.context import Viewer, find_viewer, viewer
from freshledger.web.session import FreshQuart, current_session

blueprint = Blueprint("ledgers_api", __name__)
tag_blueprint(blueprint, ["ledgers"])
log = logging.getLogger(__name__)


class Counts(msgspec.Struct):
    """How many rows a ledger has."""

    transactions: int
    wallets: int
    contacts: int
    labels: int


class LedgerOut(msgspec.Struct):
    """A ledger as its member sees it; `version` adds one with every change."""

    id: int
    name: str
    role: str
    version: int
    archived: bool
    counts: Counts


class LedgersOut(msgspec.Struct):
    """The asker's ledgers, by name."""

    ledgers: list[LedgerOut]


@blueprint.get("/api/v1/ledgers")
@document_response(LedgersOut)
async def list_ledgers() -> ResponseReturnValue:
    """List one's ledgers; a token's is the only one it sees."""
    who = viewer()
    rows = await repository.list_ledgers(
        current_session(), user_id=who.user_id, ledger_id=who.token_ledger_id
    )
    return json_response(LedgersOut([_out(row) for row in rows]))


@blueprint.get("/api/v1/ledgers/<int:ledger_id>")
@document_response(LedgerOut)
async def get_ledger(ledger_id: int) -> ResponseReturnValue:
    """Show one ledger."""
    row = await commands.get_ledger(
        current_session(), user_id=viewer().user_id, ledger_id=ledger_id
    )
    return json_response(_out(row))


@blueprint.after_app_request
async def _after_request(response: Response) -> Response:
    note_token_use(current_app, find_viewer())
    return response


def note_token_use(app: Quart, who: Viewer | None) -> None:
    """Note a token's use after the response, outside of its transaction, once a minute."""
    if who is None or who.token_id is None or who.token_ledger_id is None:
        return
    recent = datetime.now(UTC) - timedelta(seconds=tokens.USE_INTERVAL)
    if who.token_used_at is None or who.token_used_at < recent:
        app.add_background_task(_note_use, who.token_ledger_id, who.token_id)


async def _note_use(ledger_id: int, token_id: int) -> None:
    database = cast("FreshQuart", current_app).database
    try:
        async with database.write.begin() as session:
            await tokens.note_use(session, ledger_id=ledger_id, token_id=token_id)
    except Exception as error:
        if not isinstance(error, Busy) and refusal(error) is None:
            raise
        log.info("a token's use was not noted, its next one will be: %s", error)


def _out(row: AnyRow) -> LedgerOut:
    return LedgerOut(
        id=row.id,
        name=row.name,
        role=row.role,
        version=row.version,
        archived=row.archived_at is not None,
        counts=Counts(**{name: getattr(row, name) for name in repository.COUNTED}),
    )
