"""Undoing a version: what would happen, doing it, and what stands in the way."""

import asyncio
from functools import partial
from typing import Any

from quart import Blueprint, Response, request, url_for
from quart.typing import ResponseReturnValue

from freshledger.changelog import name_actors
from freshledger.errors import Conflict
from freshledger.history import commands, display, repository
from freshledger.history.commands import UndoConflict, Way
from freshledger.history.naming import find_names, in_version
from freshledger.history.repository import RowChange, Version
from freshledger.imports import pages as imports
from freshledger.web.context import ledger, requires
from freshledger.web.freshness import unversioned
from freshledger.web.rendering import render, see_other
from freshledger.web.session import current_session

blueprint = Blueprint("undo", __name__)

ROOT = "/ledgers/<int:ledger_id>/history/<int:number>/undo"


@blueprint.get(ROOT)
@requires("editor")
@unversioned("people")
async def ask_undo(ledger_id: int, number: int) -> ResponseReturnValue:
    """Show what undoing a version would do, and ask whether to."""
    session = current_session()
    version = await repository.get_version(session, ledger_id=ledger_id, version=number)
    way = commands.way_of(version)
    if ledger().archived:
        way = Way("no", "this ledger is archived; its owner can reopen it")
    return await _show(version, "history/undo.html", way=way)


@blueprint.post(ROOT)
async def undo_version(ledger_id: int, number: int) -> ResponseReturnValue:
    """Undo a version; 409 with what stands in the way where later changes would be lost."""
    session = current_session()
    in_part = bool((await request.form).get("in_part"))
    version = await repository.get_version(session, ledger_id=ledger_id, version=number)
    way = commands.way_of(version)
    if way.import_id is not None:
        await take_back(way, number, _to_import)
        return await _to_import(way.import_id)
    try:
        done = await commands.undo_version(
            session, ledger_id=ledger_id, version=version, in_part=in_part
        )
    except UndoConflict as conflict:
        page = {"conflict": conflict, "obstacles": await shown_obstacles(conflict)}
        return await _show(version, "history/conflict.html", **page), 409
    notice = f"Version {number} is undone."
    if done.left_out:
        notice = f"Undone: {done.rows:,} rows. {done.left_out:,} were left as they are."
    return see_other(url_for("history.list_versions", ledger_id=ledger_id), notice=notice)


async def _to_import(import_id: int) -> Response:
    return see_other(url_for("imports.show_import", ledger_id=ledger().id, import_id=import_id))


async def take_back(way: Way, number: int, answer: imports.Answer) -> None:
    """Begin to take an import back; a small one is gone before this returns."""
    if way.import_id is None:
        raise Conflict(way.why)
    note = partial(commands.record_undo, ledger_id=ledger().id, version=number)
    task = await imports.begin_taking_back(way.import_id, answer, also=note)
    await asyncio.wait([task], timeout=imports.PATIENCE)


async def shown_obstacles(conflict: UndoConflict) -> list[dict[str, Any]]:
    """Return what stands in the way in words, with the version and the person that put it there."""
    session = current_session()
    rows = [
        RowChange(
            "transactions" if one.table == "transaction_labels" else one.table,
            "U",
            one.row,
            {"label_id": one.label},
            None,
        )
        for one in conflict.found
    ]
    names = await find_names(session, ledger_id=ledger().id, rows=rows)
    actors = await name_actors(session, {one.actor for one in conflict.found if one.actor})
    return [
        {
            "why": one.why,
            "table": one.table,
            "row": one.row,
            "text": display.obstacle_text(one, names),
            "version": one.version,
            "actor": one.actor,
            "who": actors.get(one.actor or ""),
        }
        for one in conflict.found
    ]


async def _show(version: Version, template: str, **page: Any) -> str:  # noqa: ANN401 - a template's own names
    session = current_session()
    batches = {group.import_id for group in version.groups if group.import_id is not None}
    changes = in_version(version)
    names = await find_names(session, ledger_id=ledger().id, rows=changes, imports=batches)
    actors = await name_actors(session, {version.actor})
    undos = await repository.list_undos(session, ledger_id=ledger().id, versions=[version.version])
    entry = display.shown_version(version, names, actors, undos)
    return await render(template, entry=entry, steps=display.shown_steps(version), **page)
