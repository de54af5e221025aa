"""The pages of imports: choose files, see what would happen, commit, take back."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast
from zoneinfo import available_timezones

from quart import Blueprint, Response, current_app, request, url_for
from quart.typing import ResponseReturnValue

from freshledger.amounts import format_amount
from freshledger.chains import CHAINS
from freshledger.database import AnyRow
from freshledger.errors import Conflict, Invalid
from freshledger.imports import commands, preview, repository, runner, uploads
from freshledger.imports.commands import ANSWERS, Batch
from freshledger.imports.committing import Key
from freshledger.imports.exporting import take_time
from freshledger.imports.files import drop_spool, spool
from freshledger.imports.formats import FORMATS
from freshledger.imports.staging import plan_for_many
from freshledger.imports.tasks import Tasks
from freshledger.imports.work import WORKING
from freshledger.settings import Settings
from freshledger.web.context import ledger, viewer
from freshledger.web.freshness import unversioned
from freshledger.web.idempotency import resume_writing
from freshledger.web.rendering import render, see_other
from freshledger.web.session import FreshQuart, commit_early, current_session, release

blueprint = Blueprint("imports", __name__)
blueprint.add_app_template_filter(format_amount, "plain_amount")

PATIENCE = 0.5
"""Seconds that reading or committing may take before the browser is shown its progress."""


class _App(FreshQuart):
    """What these pages need of the application."""

    settings: Settings
    tasks: Tasks


def this_app() -> _App:
    """Return the application with its settings and tasks."""
    return cast("_App", current_app)


def key_of(import_id: int) -> Key:
    """Name an import of the ledger in the path."""
    return Key(ledger().id, import_id)


@blueprint.get("/ledgers/<int:ledger_id>/imports")
@unversioned("people")
async def list_imports(ledger_id: int) -> ResponseReturnValue:
    """Show what was imported."""
    found = await repository.list_imports(current_session(), ledger_id=ledger_id)
    return await render("imports/list.html", imports=found, titles=titles())


@blueprint.get("/ledgers/<int:ledger_id>/imports/new")
async def new_import(ledger_id: int) -> ResponseReturnValue:
    """Ask for files and where they go."""
    names = await repository.list_wallet_names(current_session(), ledger_id=ledger_id)
    wallet = request.args.get("wallet", "")
    return await render("imports/new.html", wallets=names, values={"wallet": wallet}, **_choices())


@blueprint.post("/ledgers/<int:ledger_id>/imports")
async def create_import(ledger_id: int) -> ResponseReturnValue:
    """Take the files and begin to read them; small ones are read before this answers."""
    form = await request.form
    try:
        import_id, task = await begin_upload(form, _to_import)
    except Invalid as error:
        names = await repository.list_wallet_names(current_session(), ledger_id=ledger_id)
        choices = _choices() | {"problem": {"message": error.message, "field": error.field}}
        page = await render("imports/new.html", wallets=names, values=form, **choices)
        return page, 422
    await asyncio.wait([task], timeout=PATIENCE)
    return see_other(_url("show_import", import_id))


Answer = Callable[[int], Awaitable[Response]]
"""Makes the answer for an import by its id: what is sent to whoever asks for the same again."""


async def _to_import(import_id: int) -> Response:
    return see_other(_url("show_import", import_id))


async def begin_upload(
    form: Any,  # noqa: ANN401 - a form's MultiDict
    answer: Answer,
) -> tuple[int, asyncio.Task[Any]]:
    """Take a form's files, and start to read them; raises Invalid where that cannot begin.

    Returns the import's id and the task.
    """
    answers = commands.parse_answers(form)
    app, who = this_app(), viewer()
    uploads_ = [(f.filename or "", f.stream) for f in (await request.files).getlist("files") if f]
    await release()
    token, sources = await asyncio.to_thread(spool, app.settings, uploads_)
    try:
        batch = Batch(ledger().id, who.user_id, form.get("wallet", ""), sources, token)
        await resume_writing(who.user_id)
        import_id = await commands.open_import(current_session(), batch=batch, answers=answers)
        await commit_early(await answer(import_id))
    except BaseException:
        drop_spool(app.settings, token)
        raise
    return import_id, _begin_reading(key_of(import_id), token)


def _begin_reading(key: Key, token: str | None) -> asyncio.Task[Any]:
    app = this_app()
    work = uploads.run_upload(app.database, app.settings, key, actor=viewer().actor, token=token)
    return app.tasks.start(work, f"import {key.ledger_id}/{key.import_id}")


@blueprint.get("/ledgers/<int:ledger_id>/imports/<int:import_id>")
@unversioned("progress")
async def show_import(ledger_id: int, import_id: int) -> ResponseReturnValue:
    """Show an import as far as it is: a question, the preview, the progress, or the result."""
    session = current_session()
    key = {"ledger_id": ledger_id, "import_id": import_id}
    found = await repository.get_import(session, **key)
    page: dict[str, Any] = {
        "found": found,
        "files": await repository.list_files(session, **key),
        "titles": titles(),
        "shown_problems": preview.SHOWN_PROBLEMS,
    }
    if found.status in WORKING:
        page["progress"] = await repository.find_progress(session, **key)
    elif found.status == "staged" and "movements" in found.counts:
        page |= await _preview(session, found, key)
    if found.status == "staged":
        page |= _choices() | {"values": found.options.get("answers", {})}
        page["problem"] = found.options.get("problem")
    return await render("imports/show.html", block=request.args.get("block"), **page)


async def _preview(session: Any, found: AnyRow, key: dict[str, int]) -> dict[str, Any]:  # noqa: ANN401 - a session
    await plan_for_many(session)
    await take_time(session)
    counts = await preview.count_outcomes(session, **key)
    lists: dict[str, Any] = {"counts": counts}
    lists["rows"] = await preview.list_first_rows(session, **key)
    if found.counts["references"]:
        lists["lines"] = await preview.list_first_lines(session, **key)
    if counts.equal:
        lists["equals"] = await preview.list_equal_rows(session, **key)
    if counts.problems:
        lists["problems"] = await preview.list_problems(session, **key)
    return lists


@blueprint.post("/ledgers/<int:ledger_id>/imports/<int:import_id>/answers")
async def answer_import(ledger_id: int, import_id: int) -> ResponseReturnValue:
    """Read the files again with other answers: their format, address, zone or chain."""
    answers, key = commands.parse_answers(await request.form), key_of(import_id)
    found = await repository.get_import(current_session(), ledger_id=ledger_id, import_id=import_id)
    await commands.answer_import(current_session(), key=key, answers=answers)
    await commit_early(await _to_import(import_id))
    task = _begin_reading(key, found.options.get("token"))
    await asyncio.wait([task], timeout=PATIENCE)
    return see_other(_url("show_import", import_id))


@blueprint.post("/ledgers/<int:ledger_id>/imports/<int:import_id>/commit")
async def commit_import(ledger_id: int, import_id: int) -> ResponseReturnValue:  # noqa: ARG001 - the path's
    """Begin to commit; a small import is done before this answers."""
    try:
        task = await begin_commit(import_id, _to_import)
    except Conflict as error:
        await release()  # what was begun is not to be committed with this answer
        return see_other(_url("show_import", import_id), notice=error.message)
    await asyncio.wait([task], timeout=PATIENCE)
    return see_other(_url("show_import", import_id))


async def begin_commit(import_id: int, answer: Answer) -> asyncio.Task[Any]:
    """Claim an import and start its task; raises Conflict if it is not there to be committed."""
    app, key, session = this_app(), key_of(import_id), current_session()
    found = await repository.get_import(session, ledger_id=key.ledger_id, import_id=import_id)
    await runner.claim_import(session, key)
    await commit_early(await answer(import_id))
    commit = runner.Commit(key, viewer().actor)
    work = runner.run_uploaded(app.database, app.settings, commit, found.options.get("token"))
    return app.tasks.start(work, f"import {key.ledger_id}/{import_id}")


@blueprint.post("/ledgers/<int:ledger_id>/imports/<int:import_id>/cancel")
async def cancel_import(ledger_id: int, import_id: int) -> ResponseReturnValue:  # noqa: ARG001 - the path's
    """Stop what is being done with it; the ledger stays as it was."""
    await commands.cancel_import(current_session(), key=key_of(import_id))
    return see_other(_url("show_import", import_id))


@blueprint.post("/ledgers/<int:ledger_id>/imports/<int:import_id>/discard")
async def discard_import(ledger_id: int, import_id: int) -> ResponseReturnValue:
    """Forget an import that was not committed."""
    await commands.discard_import(current_session(), this_app().settings, key=key_of(import_id))
    to = url_for("imports.list_imports", ledger_id=ledger_id)
    return see_other(to, notice="Discarded. Nothing was imported.")


@blueprint.post("/ledgers/<int:ledger_id>/imports/<int:import_id>/take-back")
async def take_back_import(ledger_id: int, import_id: int) -> ResponseReturnValue:  # noqa: ARG001 - the path's
    """Begin to remove what only this import brought; a small one is gone before this answers."""
    task = await begin_taking_back(import_id, _to_import)
    await asyncio.wait([task], timeout=PATIENCE)
    return see_other(_url("show_import", import_id))


async def begin_taking_back(
    import_id: int, answer: Answer, *, also: runner.Also | None = None
) -> asyncio.Task[Any]:
    """Claim an import and start to take it back; raises Conflict if it is not there for that.

    `also` is done in the transaction that takes it back.
    """
    app, key = this_app(), key_of(import_id)
    await runner.claim_taking_back(current_session(), key)
    await commit_early(await answer(import_id))
    work = runner.run_taking_back(app.database, key, actor=viewer().actor, also=also)
    return app.tasks.start(work, f"import {key.ledger_id}/{import_id}")


def _url(endpoint: str, import_id: int) -> str:
    return url_for(f"imports.{endpoint}", ledger_id=ledger().id, import_id=import_id)


def titles() -> dict[str, str]:
    """Return the formats' names by slug."""
    return {slug: format_.title for slug, format_ in FORMATS.items()}


def _choices() -> dict[str, Any]:
    needs = {
        name: [f.title for f in FORMATS.values() if getattr(f, f"needs_{name}")]
        for name in ANSWERS
        if name != "format"
    }
    return {
        "titles": titles(),
        "needs": needs,
        "chains": [(chain.slug, chain.name) for chain in CHAINS.values()],
        "zones": sorted(available_timezones()),
    }
