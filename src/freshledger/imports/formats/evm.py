"""What explorers of EVM chains have in common, above all what names a movement.

Etherscan and Blockscout describe the same things, so that importing both adds nothing twice:

- `chain:txid:value:side`: the value that the transaction itself carries;
- `chain:txid:fee`: the fee, once a transaction whatever files it stands in, and only if the
  wallet's address sent the transaction;
- `chain:txid:internal:from:to:amount:side`: a value that a contract passed on;
- `chain:txid:erc20:contract:from:to:amount:side`: a token. The exports have no log index, so
  that equal transfers of one transaction are told apart by their occurrence.

`side` is `out` or `in`: what an address sends to itself, or one address of a wallet to
another, is two movements. A transaction is one group: `chain:txid`. A value of 0 that
succeeded is no movement, except of a token: those are what poisoners write, and are kept.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from freshledger.amounts import format_amount
from freshledger.chains import CHAINS, EVM, Chain
from freshledger.errors import Invalid
from freshledger.imports.formats.records import Movement, Options, Unreadable
from freshledger.imports.formats.values import negative, times

ZERO_ADDRESS = "0x" + "0" * 40
ZERO = Decimal(0)
DOLLAR = "USD"

_CHAIN_OF_UNIT = {
    "ETH": "ethereum",
    "SEPOLIAETH": "sepolia",
    "BNB": "bnb",
    "POL": "polygon",
    "MATIC": "polygon",
    "AVAX": "avalanche",
    "XDAI": "gnosis",
}


@dataclass(frozen=True, slots=True)
class Transfer:
    """A value going from one address to another; `amount` has no sign, `price` is in USD."""

    line: int
    chain: Chain
    txid: str
    occurred_at: datetime
    sender: str | None
    recipient: str | None
    amount: Decimal
    status: str = "confirmed"
    price: Decimal | None = None
    note: str = ""

    @property
    def name(self) -> str:
        """The transaction's name, the beginning of every identity."""
        return f"{self.chain.slug}:{self.txid}"


@dataclass(frozen=True, slots=True)
class Token:
    """Which token is transferred, and what it was worth then in USD, if that is known."""

    symbol: str
    contract: str
    worth: Decimal | None = None


def chain_of(options: Options, line: int, unit: str | None = None) -> Chain:
    """Return the chain that the user or the header's unit names; Ethereum if neither does.

    Raises Unreadable for a unit we do not know, or that is not the chosen chain's.
    """
    meant = CHAINS.get(_CHAIN_OF_UNIT.get((unit or "ETH").upper(), ""))
    chain = CHAINS.get(options.chain) if options.chain else meant
    if options.chain and (chain is None or chain.network != EVM):
        raise Unreadable(line, f"{options.chain[:40]!r} is no EVM chain; choose the file's chain")
    if chain is None:
        raise Unreadable(line, f"the unit {(unit or '')[:20]!r} names no known chain; choose it")
    if unit and chain.asset != (meant.asset if meant else unit):
        raise Unreadable(
            line, f"the amounts are in {unit[:20]}, which {chain.name} does not use; choose the"
            " file's own chain"
        )  # fmt: skip
    return chain


def own_address(options: Options) -> str | None:
    """Return the wallet's address as explorers' addresses are stored."""
    return options.address.strip().lower() if options.address else None


def sides(transfer: Transfer, own: str | None, column: str) -> list[str]:
    """Say on which sides of the transfer the wallet's address stands.

    Raises Invalid, naming `column`, if it is on neither.
    """
    ends = (("out", transfer.sender), ("in", transfer.recipient))
    found = [side for side, address in ends if own and address == own]
    if not found:
        raise Invalid(
            f"{column}: neither the sender nor the recipient is the wallet's address"
            f" {own or '(which is not given)'}; check the address",
            field=column,
        )
    return found


def native_movements(transfer: Transfer, own_sides: list[str]) -> Iterator[Movement]:
    """Yield the movements of the transaction's own value, if there is any."""
    if transfer.amount or transfer.status == "failed":
        for side in own_sides:
            yield _movement(transfer, side, f"{transfer.name}:value:{side}")


def internal_movements(transfer: Transfer, own_sides: list[str]) -> Iterator[Movement]:
    """Yield the movements of a value that a contract passed on."""
    if transfer.amount or transfer.status == "failed":
        for side in own_sides:
            yield _movement(transfer, side, f"{transfer.name}:internal:{_ends(transfer)}:{side}")


def token_movements(transfer: Transfer, token: Token, own_sides: list[str]) -> Iterator[Movement]:
    """Yield the movements of a token."""
    for side in own_sides:
        identity = f"{transfer.name}:erc20:{token.contract}:{_ends(transfer)}:{side}"
        yield _movement(transfer, side, identity, token)


def fee_movement(transfer: Transfer, fee: Decimal) -> Iterator[Movement]:
    """Yield the fee that the sender paid, also for what failed."""
    if fee:
        yield Movement(
            line=transfer.line,
            identity=f"{transfer.name}:fee",
            group_key=transfer.name,
            occurred_at=transfer.occurred_at,
            type="fee",
            status="pending" if transfer.status == "pending" else "confirmed",
            asset=transfer.chain.asset,
            amount=negative(fee),
            chain=transfer.chain.slug,
            txid=transfer.txid,
            own_address=transfer.sender,
            **_worth(_at_price(negative(fee), transfer.price)),
        )


def _movement(transfer: Transfer, side: str, identity: str, token: Token | None = None) -> Movement:
    ours, other = transfer.sender, transfer.recipient
    if side == "in":
        ours, other = other, ours
    amount = ZERO if transfer.status == "failed" else transfer.amount
    signed = amount if side == "in" else negative(amount)
    worth = _at_price(signed, transfer.price)
    if token and token.worth is not None:
        worth = token.worth if side == "in" else negative(token.worth)
    return Movement(
        line=transfer.line,
        identity=identity,
        group_key=transfer.name,
        occurred_at=transfer.occurred_at,
        type=_type(side, other, token),
        status=transfer.status,
        asset=token.symbol if token else transfer.chain.asset,
        amount=signed,
        contract=token.contract if token else None,
        chain=transfer.chain.slug,
        txid=transfer.txid,
        own_address=ours,
        counterparty=other,
        note=transfer.note,
        **_worth(None if transfer.status == "failed" else worth),
    )


def _type(side: str, other: str | None, token: Token | None) -> str:
    if token and other == ZERO_ADDRESS:
        return "mint" if side == "in" else "burn"
    return "receive" if side == "in" else "send"


def _ends(transfer: Transfer) -> str:
    amount = format_amount(transfer.amount)
    return f"{transfer.sender or ''}:{transfer.recipient or ''}:{amount}"


def _at_price(amount: Decimal, price: Decimal | None) -> Decimal | None:
    return None if price is None else times(amount, price)


def _worth(value: Decimal | None) -> dict[str, Any]:
    return {} if value is None else {"fiat_value": value, "fiat_currency": DOLLAR}
