"""The pages of wallets: the list with its form, and a page for each wallet."""

from quart import Blueprint, request, url_for
from quart.typing import ResponseReturnValue

from freshledger import named
from freshledger.amounts import format_amount
from freshledger.errors import AppError, Conflict, Invalid, PreconditionFailed
from freshledger.merging import LostEdit
from freshledger.wallets import commands, repository
from freshledger.web.errors import STATUSES
from freshledger.web.forms import form_choices, form_number, form_text, form_version
from freshledger.web.preconditions import Control, choice, conflict_page, refused_deletion
from freshledger.web.rendering import render, see_other
from freshledger.web.session import all_or_nothing, current_session

blueprint = Blueprint("wallets", __name__)

ROOT = "/ledgers/<int:ledger_id>/wallets"
ONE = f"{ROOT}/<int:wallet_id>"

NO_CHAIN = "none"

SHOWN = (Invalid, Conflict, PreconditionFailed)
"""What is said on the page, beside what was entered."""

CONTROLS = {
    "name": Control("Name", limit=named.MAX_NAME),
    "note": Control("Note", "lines", limit=named.MAX_NOTE),
}
"""What a wallet's form edits."""


@blueprint.get(ROOT)
async def list_wallets(ledger_id: int) -> ResponseReturnValue:
    """Show all wallets, and the form that makes one."""
    return await _list(ledger_id)


@blueprint.post(ROOT)
async def create_wallet(ledger_id: int) -> ResponseReturnValue:
    """Make a wallet, with its first address if one is given."""
    form = await request.form
    try:
        async with all_or_nothing() as session:
            wallet_id = await repository.insert_wallet(
                session, ledger_id=ledger_id, name=form_text(form, "name")
            )
            if form_text(form, "address").strip():
                await repository.insert_wallet_address(
                    session,
                    ledger_id=ledger_id,
                    wallet_id=wallet_id,
                    chain=_chain(form_text(form, "chain")),
                    address=form_text(form, "address"),
                )
    except SHOWN as error:
        return await _list(ledger_id, error), STATUSES[type(error)]
    return _to(ledger_id, wallet_id, "Wallet made.")


@blueprint.get(ONE)
async def show_wallet(ledger_id: int, wallet_id: int) -> ResponseReturnValue:
    """Show a wallet: what it holds, its addresses and its forms."""
    return await _show(ledger_id, wallet_id)


@blueprint.post(ONE)
async def edit_wallet(ledger_id: int, wallet_id: int) -> ResponseReturnValue:
    """Rename a wallet and set its note; both texts of a lost edit are shown, 412."""
    form = await request.form
    sent, seen = form_choices(form, CONTROLS), form_version(form)
    if not sent:
        return _to(ledger_id, wallet_id, "Left as it was.")
    try:
        await repository.update_wallet(
            current_session(),
            ledger_id=ledger_id,
            wallet_id=wallet_id,
            name=sent.get("name"),
            note=sent.get("note"),
            seen=seen,
        )
    except LostEdit as lost:
        return await _lost(ledger_id, wallet_id, lost, sent)
    except SHOWN as error:
        return await _show(ledger_id, wallet_id, error), STATUSES[type(error)]
    return _to(ledger_id, wallet_id, "Saved.")


@blueprint.post(f"{ONE}/addresses")
async def add_address(ledger_id: int, wallet_id: int) -> ResponseReturnValue:
    """Give a wallet one more address."""
    form = await request.form
    try:
        await repository.insert_wallet_address(
            current_session(),
            ledger_id=ledger_id,
            wallet_id=wallet_id,
            chain=_chain(form_text(form, "chain")),
            address=form_text(form, "address"),
        )
    except SHOWN as error:
        return await _show(ledger_id, wallet_id, error), STATUSES[type(error)]
    return _to(ledger_id, wallet_id, "Address added.")


@blueprint.post(f"{ONE}/addresses/<int:address_id>/delete")
async def remove_address(ledger_id: int, wallet_id: int, address_id: int) -> ResponseReturnValue:
    """Take an address away from a wallet."""
    await repository.delete_wallet_address(
        current_session(), ledger_id=ledger_id, wallet_id=wallet_id, address_id=address_id
    )
    return _to(ledger_id, wallet_id, "Address removed.")


@blueprint.post(f"{ONE}/delete")
async def delete_wallet(ledger_id: int, wallet_id: int) -> ResponseReturnValue:
    """Delete a wallet for whoever typed how many transactions go with it."""
    session, form = current_session(), await request.form
    try:
        wallet = await repository.get_wallet(session, ledger_id=ledger_id, wallet_id=wallet_id)
        await commands.delete_wallet(
            session,
            ledger_id=ledger_id,
            wallet_id=wallet_id,
            seen=form_version(form),
            transactions=form_number(form, "transactions") or 0,
        )
    except LostEdit as lost:
        return await _show(ledger_id, wallet_id, refused_deletion(lost, CONTROLS)), 412
    except SHOWN as error:
        return await _show(ledger_id, wallet_id, error), STATUSES[type(error)]
    notice = f"Wallet “{wallet.name}” deleted."
    return see_other(url_for(".list_wallets", ledger_id=ledger_id), notice=notice)


def _chain(chosen: str) -> str | None:
    """Return the chain that was chosen, None for "none"; raises Invalid where nothing was."""
    if not chosen:
        raise Invalid("chain: choose the chain of the address, or no chain", field="chain")
    return None if chosen == NO_CHAIN else chosen


async def _lost(
    ledger_id: int, wallet_id: int, lost: LostEdit, sent: dict[str, str]
) -> ResponseReturnValue:
    wallet = await repository.get_wallet(
        current_session(), ledger_id=ledger_id, wallet_id=wallet_id
    )
    return await conflict_page(
        [choice(one, CONTROLS[one.field], yours=sent[one.field]) for one in lost.lost],
        subject=f"Wallet “{wallet.name}”",
        keep_url=url_for(".show_wallet", ledger_id=ledger_id, wallet_id=wallet_id),
        kept={name: sent[name] for name in lost.rest} | {"version": lost.version},
    )


def _to(ledger_id: int, wallet_id: int, notice: str) -> ResponseReturnValue:
    location = url_for(".show_wallet", ledger_id=ledger_id, wallet_id=wallet_id)
    return see_other(location, notice=notice)


async def _list(ledger_id: int, error: AppError | None = None) -> str:
    wallets = await repository.list_wallets(current_session(), ledger_id=ledger_id)
    return await render("wallets/list.html", wallets=wallets, form=await request.form, error=error)


async def _show(ledger_id: int, wallet_id: int, error: AppError | None = None) -> str:
    session = current_session()
    wallet = await repository.get_wallet(session, ledger_id=ledger_id, wallet_id=wallet_id)
    held = await repository.list_balances(session, ledger_id=ledger_id, wallet_id=wallet_id)
    balances = [(row, format_amount(row.balance), format_amount(row.pending)) for row in held]
    return await render(
        "wallets/show.html",
        wallet=wallet,
        balances=balances,
        form=await request.form,
        error=error,
    )
