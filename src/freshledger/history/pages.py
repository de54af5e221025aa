"""The pages of the history: all of it, one version, and one transaction's."""

from typing import Any
from urllib.parse import urlencode

from quart import Blueprint, request, url_for
from quart.typing import ResponseReturnValue

from freshledger.changelog import name_actors
from freshledger.errors import Invalid
from freshledger.history import display, repository, undo_pages
from freshledger.history.filters import KINDS, OPERATIONS, HistoryFilter
from freshledger.history.naming import Names, as_recorded, find_names, in_version
from freshledger.history.repository import Version
from freshledger.history.words import transaction_text
from freshledger.paging import Cursor, Page, decode_cursor, parse_limit
from freshledger.transactions import repository as transactions
from freshledger.transactions.periods import Clock
from freshledger.web.context import ledger, viewer
from freshledger.web.freshness import unversioned
from freshledger.web.rendering import render
from freshledger.web.session import current_session

blueprint = Blueprint("history", __name__)
blueprint.register_blueprint(undo_pages.blueprint)

ROOT = "/ledgers/<int:ledger_id>/history"
ONE = f"{ROOT}/<int:number>"
PAGING = ("cursor", "limit")
ROWS = 100
"""Changed rows on a page of one version."""


@blueprint.get(ROOT)
@unversioned("people")
async def list_versions(ledger_id: int) -> ResponseReturnValue:
    """Show what was done, newest first; a filter that is wrong is 422."""
    try:
        where = HistoryFilter.from_args(request.args.items(multi=True), others=PAGING)
        page = await _page(ledger_id, where)
    except Invalid as error:
        page = await _page(ledger_id, HistoryFilter(), with_rows=False)
        return await render("history/list.html", error=error, given=request.args, **page), 422
    return await render("history/list.html", error=None, given=dict(where.to_args()), **page)


@blueprint.get("/ledgers/<int:ledger_id>/transactions/<int:transaction_id>/history")
@unversioned("people")
async def show_transaction_history(ledger_id: int, transaction_id: int) -> ResponseReturnValue:
    """Show what became of one transaction."""
    await transactions.get_transaction(
        current_session(), ledger_id=ledger_id, transaction_id=transaction_id
    )
    where = HistoryFilter(table="transactions", row=transaction_id)
    page = await _page(ledger_id, where)
    names = await find_names(
        current_session(),
        ledger_id=ledger_id,
        rows=[repository.RowChange("transactions", "U", transaction_id, None, None)],
    )
    known = names.get(("transactions", transaction_id))
    return await render(
        "history/transaction.html",
        transaction_id=transaction_id,
        subject=transaction_text(known),
        **page,
    )


@blueprint.get(ONE)
@unversioned("people")
async def show_version(ledger_id: int, number: int) -> ResponseReturnValue:
    """Show one version with all its rows, by pages."""
    session = current_session()
    found = await repository.get_version(session, ledger_id=ledger_id, version=number)
    scope = f"version:{number}"
    first = repository.first_row(request.args.get("cursor"), scope=scope)
    rows = await repository.list_rows(
        session, ledger_id=ledger_id, tx=found.tx, first=first, limit=ROWS
    )
    names = await find_names(
        session, ledger_id=ledger_id, rows=[*rows, *in_version(found)], imports=_imports(found)
    )
    entry = (await shown(ledger_id, (found,), names))[0]
    kept = sum(group.count for group in found.groups if group.kept)
    then = as_recorded(names, rows)
    return await render(
        "history/version.html",
        entry=entry,
        rows=[row for row in (display.shown_row(change, then) for change in rows) if row["fields"]],
        turns={
            "first": _rows_url(found, 0) if first else None,
            "prev": _rows_url(found, max(0, first - ROWS)) if first else None,
            "next": _rows_url(found, first + ROWS) if first + ROWS < kept else None,
            "last": _rows_url(found, (kept - 1) // ROWS * ROWS) if first + ROWS < kept else None,
        },
        place=(first + 1, min(first + ROWS, kept), kept),
    )


def _rows_url(found: Version, first: int) -> str:
    cursor = Cursor((str(first),)).encode(scope=f"version:{found.version}")
    return f"{request.path}?{urlencode({'cursor': cursor})}" if first else request.path


async def _page(ledger_id: int, where: HistoryFilter, *, with_rows: bool = True) -> dict[str, Any]:
    """Read a page of entries, and what the filter can be asked for."""
    session = current_session()
    found = await _find(ledger_id, where) if with_rows else None
    versions = found.rows if found else ()
    changes = [row for version in versions for row in in_version(version)]
    imports = {import_id for version in versions for import_id in _imports(version)}
    names = await find_names(session, ledger_id=ledger_id, rows=changes, imports=imports)
    actors = await repository.list_actors(session, ledger_id=ledger_id)
    people = await name_actors(session, actors)
    return {
        "where": where,
        "entries": await shown(ledger_id, versions, names),
        "chips": [
            (text, _address(where.without(name).to_args()))
            for name, text in display.shown_chips(where, people)
        ],
        "people": sorted(people.items(), key=lambda pair: pair[1].lower()),
        "kinds": [(key, title) for key, (title, _) in KINDS.items()],
        "operations": [(key, key.capitalize()) for key in OPERATIONS],
        "turns": _turns(where, found) if found else {},
    }


async def _find(ledger_id: int, where: HistoryFilter) -> Page[Version]:
    given = request.args.get("cursor")
    scope = repository.scope(where)
    return await repository.list_versions(
        current_session(),
        ledger_id=ledger_id,
        where=where,
        clock=Clock.of(viewer().time_zone),
        cursor=decode_cursor(given, scope=scope, columns=1) if given else Cursor(),
        limit=parse_limit(request.args.get("limit"), default=viewer().page_size),
    )


def _turns(where: HistoryFilter, found: Page[Version]) -> dict[str, str | None]:
    """Return the addresses of the pages around this one; None where there is nothing."""
    if not (found.previous or found.next):
        return {}
    limit = request.args.get("limit")
    kept = where.to_args() if request.endpoint == "history.list_versions" else []
    kept += [("limit", limit)] if limit else []
    cursors = {"first": found.first, "prev": found.previous, "next": found.next, "last": found.last}
    return {
        name: f"{request.path}?{urlencode([*kept, ('cursor', cursor)])}" if cursor else None
        for name, cursor in cursors.items()
    }


def _address(query: list[tuple[str, str]]) -> str:
    base = url_for("history.list_versions", ledger_id=ledger().id)
    return f"{base}?{urlencode(query)}" if query else base


def _imports(version: Version) -> set[int]:
    return {group.import_id for group in version.groups if group.import_id is not None}


async def shown(
    ledger_id: int, versions: tuple[Version, ...], names: Names
) -> list[dict[str, Any]]:
    """Return entries of the history, with who it was and what was undone."""
    session = current_session()
    actors = await name_actors(session, {version.actor for version in versions})
    undos = await repository.list_undos(
        session, ledger_id=ledger_id, versions=[version.version for version in versions]
    )
    return [display.shown_version(version, names, actors, undos) for version in versions]
