"""Transactions for programs: list, one, bulk; the same functions serve the pages."""

from collections.abc import Callable, Coroutine
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from msgspec import UNSET
from quart import Blueprint, Response, request
from quart.typing import ResponseReturnValue
from quart_schema import (
    document_headers,
    document_querystring,
    document_request,
    document_response,
    tag_blueprint,
)

from freshledger.errors import Invalid
from freshledger.transactions import bulk, commands, lists, repository, totals
from freshledger.transactions.bulk import Edited
from freshledger.transactions.filters import PAGING, Paging, Preview, Selection, TransactionFilter
from freshledger.transactions.periods import Clock
from freshledger.transactions.rows import TransactionRow
from freshledger.transactions.shapes import (
    BulkContactIn,
    BulkLabelsIn,
    BulkNoteIn,
    CorrectionIn,
    EditedOut,
    FilterQuery,
    GroupOut,
    ListQuery,
    PreviewOut,
    SelectionIn,
    TotalsOut,
    TransactionIn,
    TransactionsOut,
    page_out,
    totals_out,
)
from freshledger.web import freshness
from freshledger.web.api import json_response, read_body
from freshledger.web.context import one_statement, viewer
from freshledger.web.preconditions import IfMatch, if_match, telling
from freshledger.web.session import (
    begin_snapshot,
    current_request,
    current_session,
    current_unit,
)

blueprint = Blueprint(
    "transactions_api", __name__, url_prefix="/api/v1/ledgers/<int:ledger_id>/transactions"
)
tag_blueprint(blueprint, ["transactions"])


@blueprint.get("")
@one_statement
@document_querystring(ListQuery)
@document_response(TransactionsOut)
async def list_transactions(ledger_id: int) -> ResponseReturnValue:
    """List transactions, newest first.

    Filters repeat for OR and take `not.` for exclusion; different names must all hold.
    `wallet`, `contact` and `label` are ids (a contact or label also `none`), `counterparty` may
    end in `*`, `asset` is a symbol or a contract, `from` and `to` are dates in your time zone,
    times or periods such as `last-month`, amounts are compared without sign.
    """
    where, paging, summed = _asked_for(current_request().query_string)
    clock = _clock()
    if not summed:
        page, version = await lists.list_documents(
            await current_unit().connection(),
            ledger_id=ledger_id,
            where=where,
            clock=clock,
            paging=paging,
        )
        freshness.shows(version)
        return json_response(page_out(page, version, None))
    await begin_snapshot()
    session = current_session()
    page, version = await lists.list_documents(
        session, ledger_id=ledger_id, where=where, clock=clock, paging=paging
    )
    freshness.shows(version)
    sums = await totals.get_totals(session, ledger_id=ledger_id, where=where, clock=clock)
    return json_response(page_out(page, version, sums))


@blueprint.post("")
@document_request(TransactionIn)
@document_response(TransactionRow, 201)
async def create_transaction(ledger_id: int) -> ResponseReturnValue:
    """Add a movement by hand."""
    body = await read_body(TransactionIn)
    fields = msgspec.structs.asdict(body)
    labels = tuple(fields.pop("labels"))
    made = await commands.create_transaction(
        current_session(), ledger_id=ledger_id, fields=fields, label_ids=labels
    )
    response = json_response(made, 201)
    response.headers["Location"] = f"{request.path}/{made.id}"
    return response


@blueprint.get("/totals")
@document_querystring(FilterQuery)
@document_response(TotalsOut)
async def get_totals(ledger_id: int) -> ResponseReturnValue:
    """Count and sum what a filter lets in."""
    sums = await totals.get_totals(
        current_session(), ledger_id=ledger_id, where=_filter(), clock=_clock()
    )
    return json_response(totals_out(sums))


@blueprint.get("/preview")
@document_querystring(FilterQuery)
@document_response(PreviewOut)
async def preview(ledger_id: int) -> ResponseReturnValue:
    """Count what a filter lets in, with the digest that a bulk edit of it needs."""
    selection = Selection(where=_filter(), clock=_clock())
    seen = await bulk.preview(current_session(), ledger_id=ledger_id, selection=selection)
    return json_response(PreviewOut(seen.count, seen.digest))


@blueprint.post("/bulk/labels")
@document_request(BulkLabelsIn)
@document_response(EditedOut)
async def edit_labels(ledger_id: int) -> ResponseReturnValue:
    """Put labels on a selection, and take others off it."""
    body = await read_body(BulkLabelsIn)
    if bool(body.add) == bool(body.remove):
        raise Invalid("add: name labels to add, or labels to remove", field="add")
    edit = commands.label_transactions if body.add else commands.unlabel_transactions
    edited = await edit(
        current_session(),
        ledger_id=ledger_id,
        selection=_selection(body),
        label_ids=tuple(body.add or body.remove),
    )
    return _edited(edited)


@blueprint.post("/bulk/note")
@document_request(BulkNoteIn)
@document_response(EditedOut)
async def edit_notes(ledger_id: int) -> ResponseReturnValue:
    """Set the note of a selection."""
    body = await read_body(BulkNoteIn)
    edited = await commands.annotate_transactions(
        current_session(), ledger_id=ledger_id, selection=_selection(body), note=body.note
    )
    return _edited(edited)


@blueprint.post("/bulk/contact")
@document_request(BulkContactIn)
@document_response(EditedOut)
async def edit_contacts(ledger_id: int) -> ResponseReturnValue:
    """Set the contact of a selection by hand."""
    body = await read_body(BulkContactIn)
    edited = await commands.assign_contact(
        current_session(),
        ledger_id=ledger_id,
        selection=_selection(body),
        contact_id=body.contact_id,
    )
    return _edited(edited)


@blueprint.get("/<int:transaction_id>")
@document_response(TransactionRow)
async def get_transaction(ledger_id: int, transaction_id: int) -> ResponseReturnValue:
    """Show one transaction."""
    row = await repository.get_transaction(
        current_session(), ledger_id=ledger_id, transaction_id=transaction_id
    )
    return json_response(row)


@blueprint.patch("/<int:transaction_id>")
@document_headers(IfMatch)
@document_request(CorrectionIn)
@document_response(TransactionRow)
async def correct_transaction(ledger_id: int, transaction_id: int) -> ResponseReturnValue:
    """Correct a transaction by hand; imports leave what was corrected alone."""
    body = msgspec.structs.asdict(await read_body(CorrectionIn))
    seen = if_match()
    async with telling(_current(ledger_id, transaction_id)):
        row = await commands.correct_transaction(
            current_session(),
            ledger_id=ledger_id,
            transaction_id=transaction_id,
            fields={name: value for name, value in body.items() if value is not UNSET},
            seen=seen,
        )
    return json_response(row)


@blueprint.delete("/<int:transaction_id>")
@document_headers(IfMatch)
async def delete_transaction(ledger_id: int, transaction_id: int) -> ResponseReturnValue:
    """Delete a transaction; imports do not bring it back."""
    seen = if_match()
    async with telling(_current(ledger_id, transaction_id)):
        await repository.delete_transaction(
            current_session(), ledger_id=ledger_id, transaction_id=transaction_id, seen=seen
        )
    return Response(status=204)


@blueprint.get("/<int:transaction_id>/group")
@document_response(GroupOut)
async def list_group(ledger_id: int, transaction_id: int) -> ResponseReturnValue:
    """List the movements that belong together with one."""
    session = current_session()
    row = await repository.get_transaction(
        session, ledger_id=ledger_id, transaction_id=transaction_id
    )
    rows = await repository.list_group(session, ledger_id=ledger_id, group_key=row.group_key)
    return json_response(GroupOut(row.group_key, rows))


@blueprint.put("/<int:transaction_id>/labels/<int:label_id>")
@document_response(EditedOut)
async def put_label(ledger_id: int, transaction_id: int, label_id: int) -> ResponseReturnValue:
    """Put a label on a transaction; that it is there already is no error."""
    edited = await commands.label_transactions(
        current_session(),
        ledger_id=ledger_id,
        selection=Selection(ids=(transaction_id,)),
        label_ids=(label_id,),
    )
    return _edited(edited)


@blueprint.delete("/<int:transaction_id>/labels/<int:label_id>")
@document_response(EditedOut)
async def delete_label(ledger_id: int, transaction_id: int, label_id: int) -> ResponseReturnValue:
    """Take a label off a transaction; that it is not there is no error."""
    edited = await commands.unlabel_transactions(
        current_session(),
        ledger_id=ledger_id,
        selection=Selection(ids=(transaction_id,)),
        label_ids=(label_id,),
    )
    return _edited(edited)


def _current(
    ledger_id: int, transaction_id: int
) -> Callable[[], Coroutine[Any, Any, TransactionRow]]:
    async def read() -> TransactionRow:
        return await repository.get_transaction(
            current_session(), ledger_id=ledger_id, transaction_id=transaction_id
        )

    return read


def _clock() -> Clock:
    return Clock.of(viewer().time_zone)


def _filter() -> TransactionFilter:
    return TransactionFilter.from_args(request.args.items(multi=True))


@lru_cache(maxsize=256)
def _asked_for(query: bytes) -> tuple[TransactionFilter, Paging, bool]:
    """Read a list's query string: filter, page, and whether totals are wanted as well.

    Programs ask for the same again and again; what it means does not depend on the moment.
    """
    args = parse_qsl(query.decode(), keep_blank_values=True, errors="werkzeug.url_quote")
    where = TransactionFilter.from_args(args, others=(*PAGING, "totals"))
    totals = next((value for name, value in args if name == "totals"), "0")
    if totals not in {"0", "1"}:
        raise Invalid("totals: must be 1, or left out", field="totals")
    return where, Paging.from_args(args), totals == "1"


def _selection(body: SelectionIn) -> Selection:
    """Read which transactions a bulk edit is for; a filter needs the preview that was seen."""
    given = [body.ids, body.group_key, body.filter]
    if len([one for one in given if one is not None]) != 1:
        raise Invalid("ids: name ids, a group_key or a filter, one of them", field="ids")
    seen = None
    if body.count is not None and body.digest is not None:
        seen = Preview(body.count, body.digest)
    if body.filter is None:
        ids = tuple(body.ids) if body.ids is not None else None
        return Selection(ids=ids, group_key=body.group_key, seen=seen)
    if seen is None:
        raise Invalid("digest: send the count and digest of the filter's preview", field="digest")
    where = TransactionFilter.from_args(parse_qsl(body.filter.lstrip("?"), keep_blank_values=True))
    return Selection(where=where, clock=_clock(), seen=seen)


def _edited(edited: Edited) -> Response:
    return json_response(EditedOut(edited.matched, edited.changed))
