"""Exports on pages and for programs: choose a format, follow the making, fetch the file."""

import asyncio
from urllib.parse import parse_qsl, urlencode

from quart import Blueprint, Response, request, send_file, url_for
from quart.typing import ResponseReturnValue

from freshledger.database import AnyRow
from freshledger.errors import Conflict, NotFound
from freshledger.imports import exporting, exports
from freshledger.imports.exporting import FORMATS, Order
from freshledger.imports.pages import PATIENCE, Answer, this_app
from freshledger.transactions.filters import PAGING, TransactionFilter
from freshledger.transactions.periods import Clock
from freshledger.transactions.repository import find_names
from freshledger.web.context import ledger, requires, viewer
from freshledger.web.freshness import unversioned
from freshledger.web.rendering import render, see_other
from freshledger.web.session import commit_early, current_session

blueprint = Blueprint("exports", __name__)

ROOT = "/ledgers/<int:ledger_id>/exports"


@blueprint.get(f"{ROOT}/new")
async def new_export(ledger_id: int) -> ResponseReturnValue:
    """Say what would be exported, and ask for the format."""
    where = TransactionFilter.from_args(request.args.items(multi=True), others=PAGING)
    names = await find_names(current_session(), ledger_id=ledger_id, where=where)
    chips = [(chip.text, chip.term.negated) for chip in where.summary(names)]
    query = urlencode(where.to_args())
    return await render("imports/export.html", formats=FORMATS, chips=chips, query=query)


@blueprint.post(ROOT)
@requires("viewer", archived=True)
async def create_export(ledger_id: int) -> ResponseReturnValue:
    """Begin an export; a small one is sent at once."""
    form = await request.form
    export_id, task = await begin_export(form.get("format", ""), form.get("where", ""), _to_export)
    await asyncio.wait([task], timeout=PATIENCE)
    if task.done() and not task.cancelled() and task.exception() is None:
        return see_other(url_for(".download", ledger_id=ledger_id, export_id=export_id))
    return await _to_export(export_id)


async def _to_export(export_id: int) -> Response:
    return see_other(url_for(".show_export", ledger_id=ledger().id, export_id=export_id))


async def begin_export(format_: str, query: str, answer: Answer) -> tuple[int, asyncio.Task[None]]:
    """Note an export of the ledger in the path and start to make it; raises Invalid."""
    app, who = this_app(), viewer()
    where = TransactionFilter.from_args(parse_qsl(query), others=PAGING)
    order = Order(ledger().id, exporting.check_format(format_), where, Clock.of(who.time_zone))
    values = {"format_": format_, "query": urlencode(where.to_args())}
    export_id = await exports.insert_export(
        current_session(), ledger_id=ledger().id, user_id=who.user_id, **values
    )
    await commit_early(await answer(export_id))
    work = exports.run_export(app.database, app.settings, order, export_id)
    return export_id, app.tasks.start(work, f"export {ledger().id}/{export_id}")


async def own_export(export_id: int) -> AnyRow:
    """Return the viewer's export; raises NotFound."""
    return await exports.get_export(
        current_session(), ledger_id=ledger().id, export_id=export_id, user_id=viewer().user_id
    )


@blueprint.get(f"{ROOT}/<int:export_id>")
@unversioned("export")
async def show_export(ledger_id: int, export_id: int) -> ResponseReturnValue:  # noqa: ARG001 - the path's
    """Show how far an export is, or where its file is."""
    return await render("imports/export_show.html", found=await own_export(export_id))


@blueprint.post(f"{ROOT}/<int:export_id>/cancel")
@requires("viewer", archived=True)
async def cancel_export(ledger_id: int, export_id: int) -> ResponseReturnValue:
    """Stop to make an export."""
    await stop_export(export_id)
    return see_other(url_for(".show_export", ledger_id=ledger_id, export_id=export_id))


async def stop_export(export_id: int) -> None:
    """Stop the viewer's export; one that has ended stays as it is."""
    found = await own_export(export_id)
    if found.status == "making":
        await exports.move_export(
            current_session(), ledger_id=ledger().id, export_id=export_id, status="cancelled"
        )


@blueprint.get(f"{ROOT}/<int:export_id>/file")
@unversioned("export")
async def download(ledger_id: int, export_id: int) -> ResponseReturnValue:  # noqa: ARG001 - the path's
    """Send the file; its name has the ledger's version that it shows."""
    return await send_export(export_id)


async def send_export(export_id: int) -> Response:
    """Answer with the file of the viewer's export; raises Conflict while it is being made."""
    found, here = await own_export(export_id), ledger()
    if found.status != "done":
        raise Conflict(f"this export is {found.status}; there is no file of it")
    path = exports.file_of(this_app().settings, here.id, export_id)
    if not path.exists():
        raise NotFound("the file of this export is no longer here; make a new one")
    response = await send_file(
        path,
        mimetype=FORMATS[found.format][1],
        as_attachment=True,
        add_etags=False,
        attachment_filename=exports.file_name(here.name, found.format, found.version),
    )
    response.headers["Ledger-Version"] = str(found.version)
    return response
