"""The history for programs: what each version changed, as it was recorded, and undo."""

from datetime import datetime
from typing import Any

import msgspec
from quart import Blueprint, Response, request, url_for
from quart.typing import ResponseReturnValue
from quart_schema import document_querystring, document_request, document_response, tag_blueprint

from freshledger.changelog import name_actors
from freshledger.errors import Invalid
from freshledger.history import commands, display, repository
from freshledger.history.commands import UndoConflict
from freshledger.history.filters import HistoryFilter
from freshledger.history.repository import Version
from freshledger.history.undo_pages import shown_obstacles, take_back
from freshledger.paging import Cursor, decode_cursor, parse_limit
from freshledger.transactions.periods import Clock
from freshledger.web.api import json_response, read_body
from freshledger.web.context import ledger, viewer
from freshledger.web.errors import answer
from freshledger.web.freshness import unversioned
from freshledger.web.session import current_session

blueprint = Blueprint("history_api", __name__, url_prefix="/api/v1/ledgers/<int:ledger_id>/history")
tag_blueprint(blueprint, ["history"])

PAGING = ("cursor", "limit")
SCOPE = "rows of version {}"


class HistoryQuery(msgspec.Struct, rename={"begin": "from", "end": "to"}):
    """The names that the page's address takes; `from` and `to` are days or instants."""

    actor: str = ""
    what: str = ""
    operation: str = ""
    begin: str = ""
    end: str = ""
    table: str = ""
    row: int | None = None
    cursor: str = ""
    limit: int = 50


class RowsQuery(msgspec.Struct):
    """A place in the rows of a version, and how many."""

    cursor: str = ""
    limit: int = 50


class ChangeOut(msgspec.Struct):
    """What a version did to a table; `kept` is false where its rows were not written down."""

    table: str
    operation: str
    count: int
    import_id: int | None
    kept: bool


class RowOut(msgspec.Struct):
    """A row before and after: an update has the columns that differ; amounts are strings."""

    table: str
    operation: str
    id: int
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class VersionOut(msgspec.Struct):
    """What one transaction did; `rows` are its first ones, `undone_by` versions that undid it."""

    version: int
    at: datetime
    actor: str
    name: str
    changes: list[ChangeOut]
    rows: list[RowOut]
    undid: int | None
    undone_by: list[int]
    undo: str


class HistoryOut(msgspec.Struct):
    """Versions, newest first, at the ledger's `version`."""

    version: int
    versions: list[VersionOut]
    next: str | None
    previous: str | None


class VersionRowsOut(msgspec.Struct):
    """One version with a page of its rows, in the order in which they were written."""

    version: int
    entry: VersionOut
    next: str | None


class UndoIn(msgspec.Struct, forbid_unknown_fields=True):
    """With `in_part` rows that somebody changed since are left as they are."""

    in_part: bool = False


class UndoneOut(msgspec.Struct):
    """How many rows were put back and left out; `import_id` is being taken back meanwhile."""

    undid: int
    rows: int = 0
    left_out: int = 0
    import_id: int | None = None


@blueprint.get("")
@unversioned("people")
@document_querystring(HistoryQuery)
@document_response(HistoryOut)
async def list_versions(ledger_id: int) -> ResponseReturnValue:
    """List what was done, newest first."""
    where = HistoryFilter.from_args(request.args.items(multi=True), others=PAGING)
    given, scope = request.args.get("cursor"), repository.scope(where)
    page = await repository.list_versions(
        current_session(),
        ledger_id=ledger_id,
        where=where,
        clock=Clock.of(viewer().time_zone),
        cursor=decode_cursor(given, scope=scope, columns=1) if given else Cursor(),
        limit=parse_limit(request.args.get("limit")),
    )
    versions = await _entries(ledger_id, page.rows)
    return json_response(HistoryOut(ledger().version, versions, page.next, page.previous))


@blueprint.get("/<int:number>")
@unversioned("people")
@document_querystring(RowsQuery)
@document_response(VersionRowsOut)
async def get_version(ledger_id: int, number: int) -> ResponseReturnValue:
    """Show one version with all its rows, by pages."""
    session = current_session()
    for name in request.args:
        if name not in PAGING:
            raise Invalid(f"{name[:60]!r} is not a parameter of this address", field=name[:60])
    limit, scope = parse_limit(request.args.get("limit")), SCOPE.format(number)
    version = await repository.get_version(session, ledger_id=ledger_id, version=number)
    first = repository.first_row(request.args.get("cursor"), scope=scope)
    rows = await repository.list_rows(
        session, ledger_id=ledger_id, tx=version.tx, first=first, limit=limit
    )
    entry = (await _entries(ledger_id, (version,)))[0]
    entry.rows = [RowOut(**display.recorded(row)) for row in rows]
    more = first + limit < sum(group.count for group in version.groups if group.kept)
    following = Cursor((str(first + limit),)).encode(scope=scope) if more else None
    return json_response(VersionRowsOut(ledger().version, entry, following))


@blueprint.post("/<int:number>/undo")
@document_request(UndoIn)
@document_response(UndoneOut)
async def undo_version(ledger_id: int, number: int) -> ResponseReturnValue:
    """Undo a version; 409 names what stands in the way. An import is taken back: 202."""
    session = current_session()
    body = await read_body(UndoIn) if await request.get_data() else UndoIn()
    version = await repository.get_version(session, ledger_id=ledger_id, version=number)
    way = commands.way_of(version)
    if way.import_id is not None:

        async def accepted(import_id: int) -> Response:
            response = json_response(UndoneOut(number, import_id=import_id), 202)
            response.headers["Location"] = url_for(
                "imports_api.get_import", ledger_id=ledger_id, import_id=import_id
            )
            return response

        await take_back(way, number, accepted)
        return await accepted(way.import_id)
    try:
        done = await commands.undo_version(
            session, ledger_id=ledger_id, version=version, in_part=body.in_part
        )
    except UndoConflict as conflict:
        details = {
            "total": conflict.total,
            "at_least": conflict.at_least,
            "in_part": conflict.possible,
            "obstacles": await shown_obstacles(conflict),
        }
        return await answer(409, conflict.code, conflict.message, details=details)
    return json_response(UndoneOut(number, done.rows, done.left_out))


async def _entries(ledger_id: int, versions: tuple[Version, ...]) -> list[VersionOut]:
    session = current_session()
    names = await name_actors(session, {version.actor for version in versions})
    undos = await repository.list_undos(
        session, ledger_id=ledger_id, versions=[version.version for version in versions]
    )
    return [
        VersionOut(
            version=one.version,
            at=one.at,
            actor=one.actor,
            name=names.get(one.actor, one.actor),
            changes=[
                ChangeOut(group.table, group.operation, group.count, group.import_id, group.kept)
                for group in one.groups
            ],
            rows=[RowOut(**display.recorded(row)) for group in one.groups for row in group.rows],
            undid=next((undo.version for undo in undos if undo.by == one.version), None),
            undone_by=[undo.by for undo in undos if undo.version == one.version],
            undo=commands.way_of(one).kind,
        )
        for one in versions
    ]
