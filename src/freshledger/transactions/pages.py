"""The transactions page: the list with its filters, and its sums, which come by themselves."""

from collections.abc import Sequence
from functools import partial
from hashlib import blake2b
from typing import Any

from quart import Blueprint, current_app, request, url_for
from quart.typing import ResponseReturnValue

from freshledger.errors import Invalid
from freshledger.paging import MAX_LIMIT, Page
from freshledger.transactions import additions, choices, display, edits, markup, selections
from freshledger.transactions.display import Asked
from freshledger.transactions.filters import PAGING, SORTS, Paging
from freshledger.transactions.lists import cursor_from
from freshledger.transactions.lists import list_transactions as list_rows
from freshledger.transactions.periods import Clock
from freshledger.transactions.repository import find_names
from freshledger.transactions.rows import TransactionRow
from freshledger.transactions.totals import get_totals
from freshledger.web.context import ledger, viewer
from freshledger.web.markup import fraction_class
from freshledger.web.rendering import render
from freshledger.web.session import current_session

blueprint = Blueprint("transactions", __name__)
for _room in (edits.blueprint, additions.blueprint, selections.blueprint):
    blueprint.register_blueprint(_room)

ROOT = "/ledgers/<int:ledger_id>/transactions"
MENUS = ("wallet", "asset", "type", "label", "contact", "chain", "status")
LIMITS = (25, 50, 100, 250, MAX_LIMIT)
OTHERS = (*PAGING, "totals", "seen")
"""What a list's address may hold beside its filter: `totals=1` asks for rows and sums of one
snapshot, `seen` is the version of the rows that sums are wanted for."""


@blueprint.get(ROOT)
async def list_transactions(ledger_id: int) -> ResponseReturnValue:
    """Show a page of what the filter lets in; a filter that is wrong is 422, its values kept."""
    asked = _read_asked()
    if asked.problem is None:
        try:
            return await _render(await _read_page(asked, ledger_id))
        except Invalid as error:
            asked = Asked(asked.args, asked.where, asked.paging, error)
    session = current_session()
    page = await _frame(session, asked) | {"rows": "", "rows_version": ledger().version}
    return await _render(page), 422


@blueprint.get(f"{ROOT}/totals")
async def show_totals(ledger_id: int) -> ResponseReturnValue:
    """Give the filter's count and sums; where they are newer than the rows, these come again."""
    asked = _read_asked()
    if asked.problem:
        raise asked.problem
    clock = Clock.of(viewer().time_zone)
    totals = await get_totals(
        current_session(), ledger_id=ledger_id, where=asked.where, clock=clock
    )
    if str(totals.version) != request.args.get("seen", str(totals.version)):
        return "", 204, {"HX-Trigger": "freshledger:behind"}
    return await render("transactions/totals.html", totals=display.shown_totals(totals))


def _read_asked() -> Asked:
    args = request.args.items(multi=True)
    return display.read_asked(args, others=OTHERS, page_size=viewer().page_size)


async def _read_page(asked: Asked, ledger_id: int) -> dict[str, Any]:
    """Read rows, names and choices, and the sums where they are asked for, from one snapshot."""
    clock = Clock.of(viewer().time_zone)
    session = current_session()
    found, version = await list_rows(
        session, ledger_id=ledger_id, where=asked.where, clock=clock, paging=asked.paging
    )
    page = await _frame(session, asked)
    if request.args.get("totals"):
        totals = await get_totals(session, ledger_id=ledger_id, where=asked.where, clock=clock)
        page["totals"] = display.shown_totals(totals)
    if found.rows:
        page["anchor"] = cursor_from(found.rows[0], ledger_id=ledger_id, sort=asked.paging.sort)
    return page | _empty(asked, found.rows) | {
        "rows": _rows(found.rows, asked, clock, editable=page["editable"]),
        "fractions": fraction_class(row.amount for row in found.rows),
        "span_text": display.span_text(found.rows, clock.zone),
        "rows_version": version,
        "turns": _turns(found, asked, page["base"]),
    }  # fmt: skip


def _rows(found: Sequence[TransactionRow], asked: Asked, clock: Clock, *, editable: bool) -> str:
    contacts = url_for("contacts.list_contacts", ledger_id=ledger().id)
    place = markup.Place(_base(), contacts, clock.zone, editable)
    placed = display.in_groups(found, together=asked.paging.sort.endswith("time"))
    return markup.rows(placed, place)


async def _frame(session: Any, asked: Asked) -> dict[str, Any]:  # noqa: ANN401 - a session
    """Return what stands around the rows: filters, chips, saved filters, addresses."""
    ledger_id, base = ledger().id, _base()
    names = await find_names(session, ledger_id=ledger_id, where=asked.where)
    offered, saved = await choices.list_choices(
        session, ledger_id=ledger_id, user_id=viewer().user_id
    )
    filtered = display.address_of("", asked.where)
    controls = display.controls(asked, offered, names)
    return {
        "asked": asked,
        "base": base,
        "saved": [(row, f"{base}?{row.query}", f"?{row.query}" == filtered) for row in saved],
        "menus": {name: markup.menu(name, controls[name]) for name in MENUS},
        "filter_query": filtered.removeprefix("?"),
        "chips": display.shown_chips(asked, names, base),
        "controls": controls,
        "presets": display.presets(asked, base),
        "problems": _problems(asked.problem),
        "limits": LIMITS,
        "sorts": {sort: _sorted(asked, sort, base) for sort in SORTS},
        "editable": edits.is_editable(),
        "exports": "exports.new_export" in current_app.view_functions,
    }


def _problems(error: Invalid | None) -> dict[str, str]:
    """Return the sentence at the field it is about, as the templates look for it."""
    return {error.field or "": error.sentence} if error else {}


def _base() -> str:
    return url_for("transactions.list_transactions", ledger_id=ledger().id)


def _turns(found: Page[TransactionRow], asked: Asked, base: str) -> dict[str, str | None]:
    """Return the addresses of the pages that can be turned to; all None on an only page."""
    turns = {name: getattr(found, name) for name in ("previous", "next", "first", "last")}
    if not (turns["previous"] or turns["next"]):
        return dict.fromkeys(turns)
    paging = asked.paging
    there = partial(Paging, paging.sort, paging.limit, default_limit=paging.default_limit)
    return {
        name: cursor and display.address_of(base, asked.where, there(cursor=cursor))
        for name, cursor in turns.items()
    }


def _sorted(asked: Asked, sort: str, base: str) -> str:
    paging = Paging(sort, asked.paging.limit, default_limit=asked.paging.default_limit)
    return display.address_of(base, asked.where, paging)


def _empty(asked: Asked, rows: Sequence[TransactionRow]) -> dict[str, bool]:
    """Tell why there are no rows: nothing at all, nothing that matches, or nothing from here on."""
    placed = bool(asked.paging.cursor or asked.paging.at)
    filtered = bool(asked.where.terms)
    return {
        "nothing_here": not rows and placed,
        "nothing_matches": not rows and not placed and filtered,
        "nothing_yet": not rows and not placed and not filtered,
    }


async def _render(page: dict[str, Any]) -> str:
    """Render the page; `sums_key` names its sums: the same filter at the same version."""
    sums = f"{page['rows_version']}?{page['filter_query']}".encode()
    return await render(
        "transactions/list.html",
        block="page",
        partial="HX-Request" in request.headers,
        zone=viewer().time_zone,
        sums_key=blake2b(sums, digest_size=8).hexdigest(),
        **page,
    )
