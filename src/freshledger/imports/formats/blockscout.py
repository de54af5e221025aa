"""CSV exports of Blockscout: transactions and token transfers of one address.

Movements and their names are those of `evm`, so that an Etherscan export of the same address
adds nothing twice. UnixTimestamp holds a UTC date, values and fees are in wei. The files name
no chain: Ethereum, unless another is chosen. TransactionFee of the token file is not read: its
FromAddress is who the token says it came from, not who sent (and paid for) the transaction.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import BinaryIO

from freshledger.amounts import scale_down
from freshledger.chains import normalize_address, normalize_txid
from freshledger.errors import Invalid
from freshledger.imports.formats import evm
from freshledger.imports.formats.csv_rows import Layout, Row, has_header, read_records
from freshledger.imports.formats.evm import Token, Transfer
from freshledger.imports.formats.records import Format, Options, Problem, Record, Unreadable
from freshledger.imports.formats.values import asset_name, optional_address, utc_time, whole_units

WEI_DECIMALS = 18
MAX_DECIMALS = 78
ROW_CAP = 10_000
"""Rows after which Blockscout's export ends without a word."""

_MAXIMUM = "Max of "
_COMMON = {
    "txid": "TxHash",
    "block": "BlockNumber",
    "time": "UnixTimestamp",
    "from": "FromAddress",
    "to": "ToAddress",
    "type": "Type",
    "status": "Status",
    "error": "ErrCode",
}
TRANSACTIONS = Layout({**_COMMON, "contract": "ContractAddress", "value": "Value", "fee": "Fee"})
TOKENS = Layout(
    {
        **_COMMON,
        "contract": "TokenContractAddress",
        "symbol": "TokenSymbol",
        "value": "TokensTransferred",
    },
    {"decimals": "TokenDecimals"},
)


def parse_transactions(file: BinaryIO, options: Options) -> Iterator[Record]:
    """Read transactions: their values and fees."""

    def read(row: Row) -> Iterator[Record]:
        units = row.read("value", whole_units)
        created = row.read("contract", optional_address)
        transfer = _transfer(row, options, scale_down(units, WEI_DECIMALS), created)
        sides = _sides(row, transfer, options)
        yield from evm.native_movements(transfer, sides)
        if "out" in sides:
            yield from evm.fee_movement(transfer, row.read("fee", _fee))

    return _capped(file, TRANSACTIONS, read)


def parse_tokens(file: BinaryIO, options: Options) -> Iterator[Record]:
    """Read token transfers; amounts are scaled by each token's own decimals."""

    def read(row: Row) -> Iterator[Record]:
        if "decimals" not in row.header.places:
            raise Unreadable(
                row.header.line, "without it nobody can tell how much was transferred; export the"
                " file again from a newer Blockscout", "TokenDecimals"
            )  # fmt: skip
        units, decimals = row.read("value", whole_units), row.read("decimals", _decimals)
        transfer = _transfer(row, options, scale_down(units, decimals))
        contract = row.read("contract", normalize_address)
        symbol = row.read("symbol", asset_name) if row.text("symbol") else contract
        token = Token(symbol, contract)
        yield from evm.token_movements(transfer, token, _sides(row, transfer, options))

    return _capped(file, TOKENS, read)


def _capped(
    file: BinaryIO, layout: Layout, read: Callable[[Row], Iterator[Record]]
) -> Iterator[Record]:
    rows, line = 0, 1

    def counted(row: Row) -> Iterator[Record]:
        nonlocal rows, line
        rows, line = rows + 1, row.line
        yield from read(row)

    yield from read_records(file, layout, counted)
    if rows == ROW_CAP:
        yield Problem(
            line, f"the file has exactly {ROW_CAP:,} rows, where Blockscout's export stops: it"
            " may be cut off; export shorter periods"
        )  # fmt: skip


def _transfer(
    row: Row, options: Options, amount: Decimal, created: str | None = None
) -> Transfer:  # fmt: skip
    return Transfer(
        line=row.line,
        chain=evm.chain_of(options, row.header.line),
        txid=row.read("txid", normalize_txid),
        occurred_at=row.read("time", utc_time),
        sender=row.read("from", optional_address),
        recipient=row.read("to", optional_address) or created,
        amount=amount,
        status=_status(row),
    )


def _status(row: Row) -> str:
    status = row.text("status").casefold()
    if status.startswith("error") or row.text("error"):
        return "failed"
    # What no block holds yet is pending, and so is a fee that is only known to be "Max of".
    if status == "pending" or not row.text("block") or row.text("fee").startswith(_MAXIMUM):
        return "pending"
    return "confirmed"


def _sides(row: Row, transfer: Transfer, options: Options) -> list[str]:
    if given := evm.own_address(options):
        return evm.sides(transfer, given, row.name("from"))
    own = {"OUT": transfer.sender, "IN": transfer.recipient}.get(row.text("type").upper())
    if own is None:
        column = row.name("type")
        raise Invalid(f"{column}: it does not say IN or OUT; give the address", field=column)
    return evm.sides(transfer, own, row.name("from"))


def _fee(text: str, *, field: str) -> Decimal:
    units = whole_units(text.removeprefix(_MAXIMUM) or "0", field=field)
    return scale_down(units, WEI_DECIMALS)


def _decimals(text: str, *, field: str) -> int:
    if not text:
        raise Invalid(f"{field}: the token names no decimals (an NFT?); left out", field=field)
    decimals = whole_units(text, field=field)
    if decimals > MAX_DECIMALS:
        raise Invalid(f"{field}: no token has {text[:40]} decimals", field=field)
    return decimals


FORMATS = (
    Format(
        "blockscout-transactions",
        "Blockscout: transactions (CSV)",
        lambda head: has_header(head, TRANSACTIONS),
        parse_transactions,
    ),
    Format(
        "blockscout-tokens",
        "Blockscout: token transfers (CSV)",
        lambda head: has_header(head, TOKENS),
        parse_tokens,
    ),
)
