"""Contacts for programs; the same functions serve the pages."""

from collections.abc import Awaitable, Callable
from typing import Annotated, cast

import msgspec
from msgspec import UNSET, Meta, UnsetType
from quart import Blueprint, Response, request
from quart.typing import ResponseReturnValue
from quart_schema import (
    document_headers,
    document_querystring,
    document_request,
    document_response,
    tag_blueprint,
)

from freshledger import named
from freshledger.contacts import addresses, commands, importing, repository
from freshledger.contacts.address_book import read_book
from freshledger.contacts.importing import Plan
from freshledger.contacts.repository import ContactRow
from freshledger.paging import Cursor, decode_cursor, parse_limit
from freshledger.web.api import json_response, read_body
from freshledger.web.downloads import csv_download
from freshledger.web.preconditions import IfMatch, if_match, telling
from freshledger.web.session import current_session

blueprint = Blueprint(
    "contacts_api", __name__, url_prefix="/api/v1/ledgers/<int:ledger_id>/contacts"
)
tag_blueprint(blueprint, ["contacts"])

Id = Annotated[int, Meta(ge=1, le=named.MAX_ID)]


class ContactQuery(msgspec.Struct):
    """`q` is a part of the name or of an address; `cursor` is from the page before."""

    q: str = ""
    cursor: str | None = None
    limit: int | None = None


class ContactsOut(msgspec.Struct):
    """A page of contacts by name, at the ledger's `version`; `next` and `previous` are cursors."""

    version: int
    contacts: list[ContactRow]
    next: str | None
    previous: str | None


class ContactIn(msgspec.Struct, forbid_unknown_fields=True):
    """A new contact."""

    name: str
    note: str = ""


class ContactChangeIn(msgspec.Struct, forbid_unknown_fields=True):
    """What to change; what is left out stays."""

    name: str | UnsetType = UNSET
    note: str | UnsetType = UNSET


class ContactAddressIn(msgspec.Struct, forbid_unknown_fields=True):
    """An address and its network: 'evm' for all EVM chains, else the chain's slug."""

    address: str
    network: str


class ContactMergeIn(msgspec.Struct, forbid_unknown_fields=True):
    """The id of the contact that stays."""

    into: Id


class BookQuery(msgspec.Struct):
    """`dry_run=1` only says what would be done; `without_problems=1` leaves bad lines out."""

    dry_run: str = "0"
    without_problems: str = "0"


class ExportQuery(msgspec.Struct):
    """`format` is safe or rotki."""

    format: str = "rotki"


@blueprint.get("")
@document_querystring(ContactQuery)
@document_response(ContactsOut)
async def list_contacts(ledger_id: int) -> ResponseReturnValue:
    """List contacts with their addresses and the number of their transactions."""
    q = " ".join(request.args.get("q", "").split())
    given, limit = request.args.get("cursor"), parse_limit(request.args.get("limit"))
    cursor = decode_cursor(given, scope=repository.scope(q), columns=2) if given else Cursor()
    session = current_session()
    page = await repository.list_contacts(
        session, ledger_id=ledger_id, q=q, cursor=cursor, limit=limit
    )
    version = await named.ledger_version(session, ledger_id=ledger_id)
    return json_response(ContactsOut(version, list(page.rows), page.next, page.previous))


@blueprint.post("")
@document_request(ContactIn)
@document_response(ContactRow, 201)
async def create_contact(ledger_id: int) -> ResponseReturnValue:
    """Make a contact."""
    body = await read_body(ContactIn)
    contact_id = await repository.insert_contact(
        current_session(), ledger_id=ledger_id, name=body.name, note=body.note
    )
    response = await _one(ledger_id, contact_id, 201)
    response.headers["Location"] = f"{request.path}/{contact_id}"
    return response


@blueprint.post("/import")
@document_querystring(BookQuery)
@document_response(Plan)
async def import_contacts(ledger_id: int) -> ResponseReturnValue:
    """Import an address book: the body is the CSV file of Safe or rotki, all or nothing."""
    session = current_session()
    book = read_book(cast("bytes", await request.get_data()))
    if request.args.get("dry_run") == "1":
        plan = await importing.plan_import(session, ledger_id=ledger_id, book=book)
    else:
        plan = await importing.import_book(
            session,
            ledger_id=ledger_id,
            book=book,
            without_problems=request.args.get("without_problems") == "1",
        )
    return json_response(plan)


@blueprint.get("/export")
@document_querystring(ExportQuery)
async def export_contacts(ledger_id: int) -> ResponseReturnValue:
    """Send all contacts as the CSV file of Safe or rotki."""
    kind = request.args.get("format", "rotki")
    body = await commands.export_book(current_session(), ledger_id=ledger_id, kind=kind)
    return csv_download(f"contacts-{kind}.csv", body)


@blueprint.get("/<int:contact_id>")
@document_response(ContactRow)
async def get_contact(ledger_id: int, contact_id: int) -> ResponseReturnValue:
    """Show one contact."""
    return await _one(ledger_id, contact_id)


@blueprint.patch("/<int:contact_id>")
@document_headers(IfMatch)
@document_request(ContactChangeIn)
@document_response(ContactRow)
async def change_contact(ledger_id: int, contact_id: int) -> ResponseReturnValue:
    """Rename a contact, or set its note."""
    body, seen = await read_body(ContactChangeIn), if_match()
    async with telling(_current(ledger_id, contact_id)):
        await repository.update_contact(
            current_session(),
            ledger_id=ledger_id,
            contact_id=contact_id,
            name=None if body.name is UNSET else body.name,
            note=None if body.note is UNSET else body.note,
            seen=seen,
        )
    return await _one(ledger_id, contact_id)


@blueprint.delete("/<int:contact_id>")
@document_headers(IfMatch)
async def delete_contact(ledger_id: int, contact_id: int) -> ResponseReturnValue:
    """Delete a contact; its transactions stay."""
    seen = if_match()
    async with telling(_current(ledger_id, contact_id)):
        await repository.delete_contact(
            current_session(), ledger_id=ledger_id, contact_id=contact_id, seen=seen
        )
    return Response(status=204)


@blueprint.post("/<int:contact_id>/addresses")
@document_request(ContactAddressIn)
@document_response(ContactRow, 201)
async def add_address(ledger_id: int, contact_id: int) -> ResponseReturnValue:
    """Give a contact one more address; answers with the contact."""
    body = await read_body(ContactAddressIn)
    address_id = await addresses.insert_contact_address(
        current_session(),
        ledger_id=ledger_id,
        contact_id=contact_id,
        network=body.network,
        address=body.address,
    )
    response = await _one(ledger_id, contact_id, 201)
    response.headers["Location"] = f"{request.path}/{address_id}"
    return response


@blueprint.delete("/<int:contact_id>/addresses/<int:address_id>")
async def remove_address(ledger_id: int, contact_id: int, address_id: int) -> ResponseReturnValue:
    """Take an address away from a contact."""
    await addresses.delete_contact_address(
        current_session(), ledger_id=ledger_id, contact_id=contact_id, address_id=address_id
    )
    return Response(status=204)


@blueprint.post("/<int:contact_id>/merge")
@document_request(ContactMergeIn)
@document_response(ContactRow)
async def merge_contact(ledger_id: int, contact_id: int) -> ResponseReturnValue:
    """Give another contact all that this one has, and delete this one; answers with the other."""
    body = await read_body(ContactMergeIn)
    await commands.merge_contacts(
        current_session(), ledger_id=ledger_id, gone=contact_id, kept=body.into
    )
    return await _one(ledger_id, body.into)


def _current(ledger_id: int, contact_id: int) -> Callable[[], Awaitable[ContactRow]]:
    return lambda: repository.get_contact(
        current_session(), ledger_id=ledger_id, contact_id=contact_id
    )


async def _one(ledger_id: int, contact_id: int, status: int = 200) -> Response:
    contact = await repository.get_contact(
        current_session(), ledger_id=ledger_id, contact_id=contact_id
    )
    return json_response(contact, status)
