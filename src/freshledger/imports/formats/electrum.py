"""Electrum's history, as CSV (every header since 2013) and as JSON.

Both name the same movements, so that one after the other adds nothing:
`chain:hash:chain`, `chain:hash:lightning` and `chain:hash:fee`, where hash is the txid or,
for a Lightning payment, the payment hash (it stands in `txid`: it is how the payment is
found). No amount is part of it: the CSV rounds Lightning to satoshis. A group of the JSON (a
channel opened or closed, a swap) is one row, as in the CSV.

Electrum's amounts include the fee; here the fee is a movement of its own and the rest is what
was sent, the sum being Electrum's to the last digit. A file from before fees were exported
leaves the fee in the amount. The wallet's label is the note. Times of the CSV are of the
computer's zone, which it does not name; neither does it name the currency.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, BinaryIO

from msgspec.structs import replace

from freshledger.amounts import parse_amount, scale_down
from freshledger.chains import Chain, normalize_txid
from freshledger.errors import Invalid
from freshledger.imports.formats.csv_rows import Layout, Row, has_header, read_records
from freshledger.imports.formats.json_stream import read_items
from freshledger.imports.formats.records import (
    Format,
    Movement,
    Options,
    Record,
    Unreadable,
)
from freshledger.imports.formats.values import (
    NOTE_LIMIT,
    add,
    json_amount,
    local_time,
    native_chain,
    negative,
    unix_time,
)
from freshledger.text import clean_text

ZERO = Decimal(0)
SATOSHI_DECIMALS, MILLISATOSHI_DECIMALS = 8, 11
LAYOUT = Layout(
    {
        "txid": "oc_transaction_hash|transaction_hash",
        "label": "label",
        "chain": "amount_chain_bc|value",
        "time": "timestamp",
    },
    {
        "payment": "ln_payment_hash",
        "lightning": "amount_lightning_bc",
        "confirmations": "confirmations",
        "fiat": "fiat_value",
        "fee": "network_fee_bc|fee",
        "fee_satoshi": "network_fee_satoshi",
        "fiat_fee": "fiat_fee",
    },
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the history; amounts are signed, `fee` and `fiat_fee` are not."""

    line: int
    hash: str
    occurred_at: datetime
    pending: bool
    chain: Decimal
    lightning: Decimal
    fee: Decimal
    label: str
    fiat: Decimal | None = None
    fiat_fee: Decimal | None = None
    currency: str | None = None


def parse_csv(file: BinaryIO, options: Options) -> Iterator[Record]:
    """Read the CSV; needs the zone its times are in."""
    zone = options.timezone

    def read(row: Row) -> Iterator[Record]:
        if zone is None:
            raise Unreadable(row.line, "the times name no zone; say which it is", "timestamp")
        if not row.text("time"):
            raise Invalid(
                "timestamp: it is not confirmed yet; export again when it is", field="timestamp"
            )
        fee = row.read("fee", _amount)
        if "fee_satoshi" in row.header.places:
            fee = scale_down(row.read("fee_satoshi", _amount), SATOSHI_DECIMALS)
        entry = Entry(
            line=row.line,
            hash=normalize_txid(row.text("txid") or row.text("payment"), field=row.name("txid")),
            occurred_at=row.read("time", partial(local_time, zone=zone)),
            pending=row.text("confirmations") == "0",
            chain=row.read("chain", _amount),
            lightning=row.read("lightning", _amount),
            fee=fee,
            label=row.text("label"),
            fiat=row.read("fiat", _fiat),
            fiat_fee=row.read("fiat_fee", _fiat),
        )
        yield from _movements(entry, native_chain(options, "bitcoin"))

    return read_records(file, LAYOUT, read)


def parse_json(file: BinaryIO, options: Options) -> Iterator[Record]:
    """Read the JSON, an object of transactions and payments by their hash."""
    currency = ""

    def read(number: int, key: str, item: object) -> Iterator[Record]:
        # One wallet has one currency, but payments on Lightning do not name it.
        nonlocal currency
        if not isinstance(item, dict) or not key:
            raise Invalid("this entry is not one of a wallet's history")
        currency = _text(item, "fiat_currency") or currency
        entry = _entry(number, key, item, currency or None)
        yield from _movements(entry, native_chain(options, "bitcoin"))

    return read_items(file, frozenset(), read)


def _entry(number: int, key: str, item: dict[str, Any], currency: str | None) -> Entry:
    parts = [item]
    if "children" in item:
        children = item["children"]
        if not isinstance(children, list) or not all(isinstance(part, dict) for part in children):
            raise Invalid("children: this is not a list of entries", field="children")
        parts = children
    name = _text(item, "txid") or _text(item, "payment_hash") or key.removeprefix("group:")
    return Entry(
        line=number,
        hash=normalize_txid(name, field="txid"),
        occurred_at=unix_time(_text(item, "timestamp"), field="timestamp"),
        pending=item.get("confirmations") == 0,
        chain=_sum(parts, "amount_sat", SATOSHI_DECIMALS),
        lightning=_sum(parts, "amount_msat", MILLISATOSHI_DECIMALS),
        fee=add(
            _sum(parts, "fee_sat", SATOSHI_DECIMALS),
            _sum(parts, "fee_msat", MILLISATOSHI_DECIMALS),
        ),
        label=_text(item, "label"),
        fiat=_fiat(_text(item, "fiat_value"), field="fiat_value"),
        fiat_fee=_fiat(_text(item, "fiat_fee"), field="fiat_fee"),
        currency=currency,
    )


def _movements(entry: Entry, chain: Chain) -> Iterator[Movement]:
    """Split an entry into what moved on each layer and the fee."""
    first, second = entry.chain, entry.lightning
    # The fee is paid on the chain, except for a payment that is on Lightning alone.
    if first or not second:
        first = add(first, entry.fee)
    else:
        second = add(second, entry.fee)
    legs = [(name, leg) for name, leg in (("chain", first), ("lightning", second)) if leg]
    if not legs and not entry.fee:
        legs = [("chain", ZERO)]
    fiat_fee = entry.fiat_fee or ZERO
    for name, amount in legs:
        fiat = add(entry.fiat, fiat_fee) if entry.fiat is not None and len(legs) == 1 else None
        yield _movement(entry, chain, name, amount, _type(legs, amount), fiat)
    if entry.fee:
        fiat = None if entry.fiat_fee is None else negative(entry.fiat_fee)
        fee = _movement(entry, chain, "fee", negative(entry.fee), "fee", fiat)
        yield fee if not legs else replace(fee, note="")


def _type(legs: list[tuple[str, Decimal]], amount: Decimal) -> str:
    if len(legs) > 1:
        return "transfer"
    return "receive" if amount > 0 else "send" if amount else "other"


def _movement(
    entry: Entry, chain: Chain, name: str, amount: Decimal, kind: str, fiat: Decimal | None
) -> Movement:
    return Movement(
        line=entry.line,
        identity=f"{chain.slug}:{entry.hash}:{name}",
        group_key=f"{chain.slug}:{entry.hash}",
        occurred_at=entry.occurred_at,
        type=kind,
        status="pending" if entry.pending else "confirmed",
        asset=chain.asset,
        amount=amount,
        chain=chain.slug,
        txid=entry.hash,
        fiat_value=fiat,
        fiat_currency=entry.currency if fiat is not None else None,
        note=clean_text(entry.label, limit=NOTE_LIMIT, lines=True),
    )


def _amount(text: str, *, field: str) -> Decimal:
    return parse_amount(text, field=field) if text else ZERO


def _fiat(text: str, *, field: str) -> Decimal | None:
    if text in {"", "No Data"}:
        return None
    return parse_amount(text.replace(",", ""), field=field)


def _text(item: dict[str, Any], name: str) -> str:
    value = item.get(name)
    if value is None or isinstance(value, bool | dict | list):
        return ""
    return str(value).strip()


def _sum(parts: list[dict[str, Any]], name: str, decimals: int) -> Decimal:
    total = ZERO
    for part in parts:
        if part.get(name) is not None:
            units = json_amount(part[name], field=name)
            total = add(total, scale_down(units, decimals))
    return total


def _looks_like_json(head: bytes) -> bool:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return start.startswith(b"{") and any(
        mark in head for mark in (b'"amount_sat"', b'"amount_msat"')
    )


FORMATS = (
    Format(
        "electrum-csv",
        "Electrum: history (CSV)",
        lambda head: has_header(head, LAYOUT),
        parse_csv,
        needs_timezone=True,
    ),
    Format("electrum-json", "Electrum: history (JSON)", _looks_like_json, parse_json),
)
