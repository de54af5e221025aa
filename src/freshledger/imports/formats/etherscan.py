"""CSV exports of Etherscan and the explorers of its family (BscScan, Polygonscan, Arbiscan…).

Three files belong to one address: transactions, internal transactions, ERC-20 transfers. Their
movements, and what names them, are those of `evm`. The fee stands only in the first file.
The fiat value is the historical price times the amount, exactly; the columns CurrentValue and
TxnFee(USD) are at the day of the export and are not read.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import BinaryIO

from freshledger.chains import Chain, normalize_address, normalize_txid
from freshledger.errors import Invalid
from freshledger.imports.formats import evm
from freshledger.imports.formats.csv_rows import Layout, Row, has_header, read_records, read_rows
from freshledger.imports.formats.evm import Token, Transfer
from freshledger.imports.formats.records import (
    Format,
    Options,
    Problem,
    Record,
    Unreadable,
)
from freshledger.imports.formats.values import (
    NOTE_LIMIT,
    asset_name,
    grouped_amount,
    optional_address,
    unix_time,
)
from freshledger.text import clean_text

_HASH = r"Transaction Hash|Txhash|Txn Hash"
_COMMON = {"txid": _HASH, "time": "UnixTimestamp", "from": "From", "contract": "ContractAddress"}
_NATIVE = {"in": r"Value_IN\((\w+)\)", "out": r"Value_OUT\((\w+)\)"}
_EXTRA = {
    "price": r"Historical \$Price/\w+",
    "status": "Status",
    "error": "ErrCode",
    "note": "PrivateNote",
}
TRANSACTIONS = Layout({**_COMMON, **_NATIVE, "to": "To", "fee": r"TxnFee\((?!USD)\w+\)"}, _EXTRA)
INTERNAL = Layout({**_COMMON, **_NATIVE, "to": "TxTo", "parent": "ParentTxFrom"}, _EXTRA)
TOKENS = Layout(
    {
        **_COMMON,
        "to": "To",
        "amount": "TokenValue|Value",
        "name": "TokenName",
        "symbol": "TokenSymbol",
    },
    {"worth": "USDValueDayOfTx", "note": "PrivateNote"},
)


def parse_transactions(file: BinaryIO, options: Options) -> Iterator[Record]:
    """Read the file of normal transactions: their values and fees."""

    def read(row: Row, own: str | None) -> Iterator[Record]:
        failed = _failed(row, successes={""})
        transfer = _native(row, options, "failed" if failed else "confirmed")
        address = _own_address(row, transfer, own)
        yield from evm.native_movements(transfer, evm.sides(transfer, address, row.name("from")))
        if transfer.sender == address:
            yield from evm.fee_movement(transfer, row.read("fee", grouped_amount))

    return _with_address(file, options, TRANSACTIONS, read)


def parse_internal(file: BinaryIO, options: Options) -> Iterator[Record]:
    """Read the file of internal transactions."""

    def read(row: Row, own: str | None) -> Iterator[Record]:
        failed = _failed(row, successes={"", "0"})
        transfer = _native(row, options, "failed" if failed else "confirmed")
        address = _own_address(row, transfer, own)
        yield from evm.internal_movements(transfer, evm.sides(transfer, address, row.name("from")))

    return _with_address(file, options, INTERNAL, read)


def parse_tokens(file: BinaryIO, options: Options) -> Iterator[Record]:
    """Read the file of ERC-20 transfers, which names no direction: the address tells it."""
    own = evm.own_address(options)

    def read(row: Row) -> Iterator[Record]:
        if own is None:
            raise Unreadable(row.line, "this file does not name its address; give the wallet's")
        chain = evm.chain_of(options, row.line)
        transfer = _transfer(row, chain, row.read("amount", grouped_amount))
        token = Token(
            row.read("symbol", asset_name) if row.text("symbol") else row.read("name", asset_name),
            row.read("contract", normalize_address),
            row.read("worth", _dollars),
        )
        column = row.name("from")
        yield from evm.token_movements(transfer, token, evm.sides(transfer, own, column))

    return read_records(file, TOKENS, read)


def _with_address(
    file: BinaryIO,
    options: Options,
    layout: Layout,
    read: Callable[[Row, str | None], Iterator[Record]],
) -> Iterator[Record]:
    own = evm.own_address(options)
    if own is None:
        own = _find_address(file, layout)
        file.seek(0)
    yield from read_records(file, layout, lambda row: read(row, own))


def _find_address(file: BinaryIO, layout: Layout) -> str | None:
    """Find whose export it is: by the first value that moves, else the one in every row.

    A call without value names no direction, so that this is known before the rows are read.
    """
    common: set[str] | None = None
    try:
        for row in read_rows(file, layout):
            if isinstance(row, Problem):
                continue
            ends = _ends_of(row)
            if own := ends.get("own"):
                return own
            common = set(ends.values()) if common is None else common & set(ends.values())
    except Unreadable:
        pass  # reading the file in earnest says it
    return common.pop() if common and len(common) == 1 else None


def _ends_of(row: Row) -> dict[str, str]:
    try:
        sender, recipient = row.read("from", optional_address), _recipient(row)
        came, went = row.read("in", grouped_amount), row.read("out", grouped_amount)
    except Invalid:
        return {}
    own = recipient if came else sender if went else None
    ends = {"from": sender, "to": recipient, "own": own}
    return {name: address for name, address in ends.items() if address}


def _own_address(row: Row, transfer: Transfer, own: str | None) -> str | None:
    """Return the address the row is told for, by the direction if it names one."""
    if own and own in {transfer.sender, transfer.recipient}:
        return own
    if row.read("in", grouped_amount):
        return own or transfer.recipient
    return own or (transfer.sender if transfer.amount else None)


def _native(row: Row, options: Options, status: str) -> Transfer:
    chain = evm.chain_of(options, row.header.line, row.header.found["in"])
    came, went = row.read("in", grouped_amount), row.read("out", grouped_amount)
    return _transfer(row, chain, came or went, status)


def _transfer(
    row: Row, chain: Chain, amount: Decimal, status: str = "confirmed"
) -> Transfer:  # fmt: skip
    return Transfer(
        line=row.line,
        chain=chain,
        txid=row.read("txid", normalize_txid),
        occurred_at=row.read("time", unix_time),
        sender=row.read("from", optional_address),
        recipient=_recipient(row),
        amount=amount,
        status=status,
        price=row.read("price", _dollars),
        note=clean_text(row.text("note"), limit=NOTE_LIMIT, lines=True),
    )


def _recipient(row: Row) -> str | None:
    """Return where the value goes: for the creation of a contract, the contract."""
    to = row.read("to", optional_address)
    return to or row.read("contract", optional_address)


def _failed(row: Row, successes: set[str]) -> bool:
    return row.text("status") not in successes or bool(row.text("error"))


def _dollars(text: str, *, field: str) -> Decimal | None:
    text = text.removeprefix("$")
    if text in {"", "N/A", "-"}:
        return None
    return grouped_amount(text, field=field)


FORMATS = (
    Format(
        "etherscan-transactions",
        "Etherscan: transactions (CSV)",
        lambda head: has_header(head, TRANSACTIONS),
        parse_transactions,
    ),
    Format(
        "etherscan-internal",
        "Etherscan: internal transactions (CSV)",
        lambda head: has_header(head, INTERNAL),
        parse_internal,
    ),
    Format(
        "etherscan-tokens",
        "Etherscan: ERC-20 token transfers (CSV)",
        lambda head: has_header(head, TOKENS),
        parse_tokens,
        needs_address=True,
    ),
)
