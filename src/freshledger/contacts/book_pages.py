"""The pages of address books, on the contacts' blueprint: import with a preview, and export."""

from quart import request, url_for
from quart.datastructures import FileStorage
from quart.typing import ResponseReturnValue

from freshledger.contacts import commands, importing
from freshledger.contacts.address_book import Book, read_book
from freshledger.contacts.importing import Plan
from freshledger.contacts.pages import ROOT, SHOWN, blueprint
from freshledger.errors import AppError, Invalid
from freshledger.web.downloads import csv_download
from freshledger.web.errors import STATUSES
from freshledger.web.rendering import render, see_other
from freshledger.web.session import current_session

__all__ = ["blueprint"]


@blueprint.get(f"{ROOT}/import")
async def new_import(ledger_id: int) -> ResponseReturnValue:  # noqa: ARG001 - in every path
    """Show the form that takes an address book."""
    return await _page()


@blueprint.post(f"{ROOT}/import")
async def import_contacts(ledger_id: int) -> ResponseReturnValue:
    """Show what a file would do; with `do=import` do it, all of it or nothing."""
    session, form = current_session(), await request.form
    data, book, plan = b"", None, None
    try:
        data = await _data()
        book = read_book(data)
        plan = await importing.plan_import(session, ledger_id=ledger_id, book=book)
        if form.get("do") != "import":
            return await _page(book, plan, data.decode("utf-8-sig"))
        done = await importing.import_book(
            session, ledger_id=ledger_id, book=book, without_problems="without" in form
        )
    except SHOWN as error:
        content = data.decode("utf-8-sig") if book else ""
        return await _page(book, plan, content, error), STATUSES[type(error)]
    added, renamed = len(done.added), len(done.renamed)
    notice = (
        f"{added:,} {'address' if added == 1 else 'addresses'} added,"
        f" {renamed:,} {'contact' if renamed == 1 else 'contacts'} renamed."
    )
    return see_other(url_for(".list_contacts", ledger_id=ledger_id), notice=notice)


@blueprint.get(f"{ROOT}/export")
async def export_contacts(ledger_id: int) -> ResponseReturnValue:
    """Send all contacts as a CSV file in the form that `format` names."""
    kind = request.args.get("format", "rotki")
    body = await commands.export_book(current_session(), ledger_id=ledger_id, kind=kind)
    return csv_download(f"contacts-{kind}.csv", body)


async def _data() -> bytes:
    file: FileStorage | None = (await request.files).get("file")
    if file is not None and file.filename:
        return bytes(file.read())
    content: str = (await request.form).get("content", "")
    if not content.strip():
        raise Invalid("file: choose a CSV file", field="file")
    return content.encode()


async def _page(
    book: Book | None = None,
    plan: Plan | None = None,
    content: str = "",
    error: AppError | None = None,
) -> str:
    return await render("contacts/import.html", book=book, plan=plan, content=content, error=error)
