"""Wallets for programs; the same functions serve the pages."""

from collections.abc import Awaitable, Callable

import msgspec
from msgspec import UNSET, UnsetType
from quart import Blueprint, Response, request
from quart.typing import ResponseReturnValue
from quart_schema import (
    document_headers,
    document_request,
    document_response,
    tag_blueprint,
)

from freshledger import named
from freshledger.amounts import format_amount
from freshledger.wallets import commands, repository
from freshledger.wallets.repository import WalletRow
from freshledger.web.api import json_response, read_body
from freshledger.web.preconditions import IfMatch, if_match, telling
from freshledger.web.session import current_session

blueprint = Blueprint("wallets_api", __name__, url_prefix="/api/v1/ledgers/<int:ledger_id>/wallets")
tag_blueprint(blueprint, ["wallets"])


class WalletsOut(msgspec.Struct):
    """All wallets by name, at the ledger's `version`."""

    version: int
    wallets: list[WalletRow]


class BalanceOut(msgspec.Struct):
    """Of one asset: confirmed rows summed, exact; `pending` stands apart."""

    asset: str
    contract: str | None
    balance: str
    pending: str
    transactions: int


class BalancesOut(msgspec.Struct):
    """What a wallet holds, at the ledger's `version`."""

    version: int
    balances: list[BalanceOut]


class WalletIn(msgspec.Struct, forbid_unknown_fields=True):
    """A new wallet."""

    name: str
    note: str = ""


class WalletChangeIn(msgspec.Struct, forbid_unknown_fields=True):
    """What to change; what is left out stays."""

    name: str | UnsetType = UNSET
    note: str | UnsetType = UNSET


class WalletAddressIn(msgspec.Struct, forbid_unknown_fields=True):
    """An address; `chain` is a slug, a name or an EVM chain id, null for an exchange account."""

    address: str
    chain: str | None = None


@blueprint.get("")
@document_response(WalletsOut)
async def list_wallets(ledger_id: int) -> ResponseReturnValue:
    """List wallets with the number and span of their transactions."""
    session = current_session()
    wallets = await repository.list_wallets(session, ledger_id=ledger_id)
    version = await named.ledger_version(session, ledger_id=ledger_id)
    return json_response(WalletsOut(version, list(wallets)))


@blueprint.post("")
@document_request(WalletIn)
@document_response(WalletRow, 201)
async def create_wallet(ledger_id: int) -> ResponseReturnValue:
    """Make a wallet."""
    body = await read_body(WalletIn)
    wallet_id = await repository.insert_wallet(
        current_session(), ledger_id=ledger_id, name=body.name, note=body.note
    )
    response = await _one(ledger_id, wallet_id, 201)
    response.headers["Location"] = f"{request.path}/{wallet_id}"
    return response


@blueprint.get("/<int:wallet_id>")
@document_response(WalletRow)
async def get_wallet(ledger_id: int, wallet_id: int) -> ResponseReturnValue:
    """Show one wallet."""
    return await _one(ledger_id, wallet_id)


@blueprint.get("/<int:wallet_id>/balances")
@document_response(BalancesOut)
async def list_balances(ledger_id: int, wallet_id: int) -> ResponseReturnValue:
    """List what a wallet holds of each asset."""
    session = current_session()
    await repository.get_wallet(session, ledger_id=ledger_id, wallet_id=wallet_id)
    held = await repository.list_balances(session, ledger_id=ledger_id, wallet_id=wallet_id)
    version = await named.ledger_version(session, ledger_id=ledger_id)
    balances = [
        BalanceOut(
            row.asset,
            row.contract,
            format_amount(row.balance),
            format_amount(row.pending),
            row.transactions,
        )
        for row in held
    ]
    return json_response(BalancesOut(version, balances))


@blueprint.patch("/<int:wallet_id>")
@document_headers(IfMatch)
@document_request(WalletChangeIn)
@document_response(WalletRow)
async def change_wallet(ledger_id: int, wallet_id: int) -> ResponseReturnValue:
    """Rename a wallet, or set its note."""
    body, seen = await read_body(WalletChangeIn), if_match()
    async with telling(_current(ledger_id, wallet_id)):
        await repository.update_wallet(
            current_session(),
            ledger_id=ledger_id,
            wallet_id=wallet_id,
            name=None if body.name is UNSET else body.name,
            note=None if body.note is UNSET else body.note,
            seen=seen,
        )
    return await _one(ledger_id, wallet_id)


@blueprint.delete("/<int:wallet_id>")
@document_headers(IfMatch)
async def delete_wallet(ledger_id: int, wallet_id: int) -> ResponseReturnValue:
    """Delete a wallet with all its transactions."""
    seen = if_match()
    async with telling(_current(ledger_id, wallet_id)):
        await commands.delete_wallet(
            current_session(), ledger_id=ledger_id, wallet_id=wallet_id, seen=seen
        )
    return Response(status=204)


@blueprint.post("/<int:wallet_id>/addresses")
@document_request(WalletAddressIn)
@document_response(WalletRow, 201)
async def add_address(ledger_id: int, wallet_id: int) -> ResponseReturnValue:
    """Give a wallet one more address; answers with the wallet."""
    body = await read_body(WalletAddressIn)
    address_id = await repository.insert_wallet_address(
        current_session(),
        ledger_id=ledger_id,
        wallet_id=wallet_id,
        chain=body.chain,
        address=body.address,
    )
    response = await _one(ledger_id, wallet_id, 201)
    response.headers["Location"] = f"{request.path}/{address_id}"
    return response


@blueprint.delete("/<int:wallet_id>/addresses/<int:address_id>")
async def remove_address(ledger_id: int, wallet_id: int, address_id: int) -> ResponseReturnValue:
    """Take an address away from a wallet."""
    await repository.delete_wallet_address(
        current_session(), ledger_id=ledger_id, wallet_id=wallet_id, address_id=address_id
    )
    return Response(status=204)


def _current(ledger_id: int, wallet_id: int) -> Callable[[], Awaitable[WalletRow]]:
    return lambda: repository.get_wallet(
        current_session(), ledger_id=ledger_id, wallet_id=wallet_id
    )


async def _one(ledger_id: int, wallet_id: int, status: int = 200) -> Response:
    wallet = await repository.get_wallet(
        current_session(), ledger_id=ledger_id, wallet_id=wallet_id
    )
    return json_response(wallet, status)
