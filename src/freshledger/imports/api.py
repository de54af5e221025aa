"""Imports and exports for programs: stage, look, commit, cancel or take back; make, fetch."""

import asyncio
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from quart import Blueprint, Response, request
from quart.typing import ResponseReturnValue
from quart_schema import document_request, document_response, tag_blueprint

from freshledger.database import AnyRow
from freshledger.imports import commands, export_pages, preview, repository
from freshledger.imports.exporting import take_time
from freshledger.imports.pages import (
    PATIENCE,
    begin_commit,
    begin_taking_back,
    begin_upload,
    key_of,
    this_app,
)
from freshledger.imports.reading import sentence_of
from freshledger.imports.staging import plan_for_many
from freshledger.imports.work import TAKING_BACK, WORKING
from freshledger.web.api import json_response, read_body
from freshledger.web.context import ledger, requires
from freshledger.web.freshness import unversioned
from freshledger.web.session import current_session

blueprint = Blueprint("imports_api", __name__, url_prefix="/api/v1/ledgers/<int:ledger_id>")
tag_blueprint(blueprint, ["imports and exports"])


class FileOut(msgspec.Struct):
    """A file of an import, and the format it was read as."""

    name: str
    format: str
    size: int


class CountsOut(msgspec.Struct):
    """Movements by what becomes of them, label lines, and rows that cannot be read.

    Of a staged import it is what committing would do now; `equal` of the new ones equal a row
    of another source in the same wallet, transaction, asset and amount.
    """

    new: int
    there: int
    updated: int
    deleted: int
    lines: int
    problems: int
    equal: int = 0


class ImportOut(msgspec.Struct):
    """An import; `done` of `total` bytes are read, or movements written, while that goes on.

    A staged one without counts could not be read: `error` says why.
    """

    id: int
    status: Literal[
        "reading",
        "staged",
        "committing",
        "done",
        "failed",
        "cancelled",
        "taking_back",
        "taken_back",
    ]
    wallet: str
    wallet_id: int
    files: list[FileOut]
    counts: CountsOut | None
    problems: list[str]
    error: str | None
    done: int | None
    total: int | None
    created_at: datetime
    finished_at: datetime | None


class ExportIn(msgspec.Struct, forbid_unknown_fields=True):
    """An export to make; `filter` holds the query of the list, for example `asset=ETH`."""

    format: Literal["csv", "jsonl", "bip329"]
    filter: Annotated[str, Meta(max_length=20_000)] = ""


class ExportOut(msgspec.Struct):
    """An export; `version` is the ledger's that it shows."""

    id: int
    format: str
    filter: str
    status: Literal["making", "done", "failed", "cancelled"]
    version: int | None
    done: int
    total: int | None
    error: str | None
    created_at: datetime
    finished_at: datetime | None


@blueprint.post("/imports")
@document_response(ImportOut, 202)
async def stage_import(ledger_id: int) -> ResponseReturnValue:  # noqa: ARG001 - the path's
    """Begin to read files: a multipart form of `files` (several) and `wallet`, its name.

    `format`, `address`, `timezone` and `chain` say what the files do not. Look at the import
    until it is staged; nothing is in the ledger before it is committed.
    """
    import_id, task = await begin_upload(await request.form, _staged)
    await asyncio.wait([task], timeout=PATIENCE)
    return await _staged(import_id)


@blueprint.get("/imports/<int:import_id>")
@unversioned("progress")
@document_response(ImportOut)
async def get_import(ledger_id: int, import_id: int) -> ResponseReturnValue:
    """Look at an import: what it would do, how far it is, or what it did."""
    return await _answer(ledger_id, import_id)


@blueprint.post("/imports/<int:import_id>/commit")
@document_response(ImportOut, 202)
async def commit_import(ledger_id: int, import_id: int) -> ResponseReturnValue:
    """Begin to commit: all of it will be in the ledger, or nothing. Look at it to see the end."""
    await begin_commit(import_id, _accepted)
    return await _answer(ledger_id, import_id, 202)


@blueprint.delete("/imports/<int:import_id>")
async def delete_import(ledger_id: int, import_id: int) -> ResponseReturnValue:
    """Discard it if it is staged, cancel reading or committing it, else begin to take it back.

    Look at one that is being taken back to see the end.
    """
    session, key = current_session(), key_of(import_id)
    found = await repository.get_import(session, ledger_id=ledger_id, import_id=import_id)
    if found.status == "staged":
        await commands.discard_import(session, this_app().settings, key=key)
    elif found.status == TAKING_BACK.status:
        return await _answer(ledger_id, import_id, 202)
    elif found.status in WORKING:
        await commands.cancel_import(session, key=key)
    else:
        task = await begin_taking_back(import_id, _accepted)
        await asyncio.wait([task], timeout=PATIENCE)
        return await _answer(ledger_id, import_id, 202)
    return Response(status=204)


@blueprint.post("/imports/<int:import_id>/cancel")
@document_response(ImportOut)
async def cancel_import(ledger_id: int, import_id: int) -> ResponseReturnValue:
    """Stop to read, commit or take it back: the ledger stays as it was before."""
    await commands.cancel_import(current_session(), key=key_of(import_id))
    return await _answer(ledger_id, import_id)


async def _accepted(import_id: int) -> Response:
    return await _answer(ledger().id, import_id, 202)


async def _staged(import_id: int) -> Response:
    response = await _accepted(import_id)
    response.headers["Location"] = f"{request.path}/{import_id}"
    return response


async def _answer(ledger_id: int, import_id: int, status: int = 200) -> Response:
    key = {"ledger_id": ledger_id, "import_id": import_id}
    session = current_session()
    found = await repository.get_import(session, **key)
    files = await repository.list_files(session, **key)
    progress = await repository.find_progress(session, **key)
    counts, problems = _counts(found), []
    if found.status == "staged" and "movements" in found.counts:
        await plan_for_many(session)
        await take_time(session)
        planned = await preview.count_outcomes(session, **key)
        counts = _planned(planned)
        problems = await preview.list_problems(session, **key)
    done, total = progress or (None, None)
    body = ImportOut(
        id=found.id,
        status=found.status,
        wallet=found.wallet,
        wallet_id=found.wallet_id,
        files=[FileOut(file.name, file.format, file.size) for file in files],
        counts=counts,
        problems=[sentence_of(p.file, p.line, p.column, p.message) for p in problems],
        error=found.error or (found.options.get("problem") or {}).get("message"),
        done=done,
        total=total,
        created_at=found.created_at,
        finished_at=found.finished_at,
    )
    return json_response(body, status)


def _counts(found: AnyRow) -> CountsOut | None:
    if "new" not in found.counts:
        return None
    names = ("new", "there", "updated", "deleted", "lines", "problems")
    return CountsOut(**{name: found.counts[name] for name in names})


def _planned(counts: preview.Counts) -> CountsOut:
    names = ("new", "there", "updated", "deleted", "problems", "equal")
    return CountsOut(**{name: getattr(counts, name) for name in names}, lines=counts.new_lines)


@blueprint.post("/exports")
@requires("viewer", archived=True)
@document_request(ExportIn)
@document_response(ExportOut, 201)
async def create_export(ledger_id: int) -> ResponseReturnValue:  # noqa: ARG001 - the path's
    """Begin an export of what a filter lets in; look at it until it is done."""
    body = await read_body(ExportIn)
    export_id, _task = await export_pages.begin_export(body.format, body.filter, _made)
    return await _made(export_id)


@blueprint.get("/exports/<int:export_id>")
@unversioned("export")
@document_response(ExportOut)
async def get_export(ledger_id: int, export_id: int) -> ResponseReturnValue:  # noqa: ARG001 - the path's
    """Look at one of your exports."""
    return await _export(export_id)


@blueprint.get("/exports/<int:export_id>/file")
@unversioned("export")
async def get_file(ledger_id: int, export_id: int) -> ResponseReturnValue:  # noqa: ARG001 - the path's
    """Fetch the file of an export that is done; Ledger-Version says which version it shows."""
    return await export_pages.send_export(export_id)


@blueprint.delete("/exports/<int:export_id>")
@requires("viewer", archived=True)
async def delete_export(ledger_id: int, export_id: int) -> ResponseReturnValue:  # noqa: ARG001 - the path's
    """Stop to make an export."""
    await export_pages.stop_export(export_id)
    return Response(status=204)


async def _made(export_id: int) -> Response:
    response = await _export(export_id, 201)
    response.headers["Location"] = f"{request.path}/{export_id}"
    return response


async def _export(export_id: int, status: int = 200) -> Response:
    found = await export_pages.own_export(export_id)
    values = found._asdict()
    return json_response(ExportOut(filter=values.pop("query"), **values), status)
