"""Koinly's universal CSV, the template that many tools write. Its dates are UTC.

A row is up to three movements (sent, received, fee) of one group. They are named by all that
never changes about the row: `koinly:hash:time:kind:asset:amount`; rows that are equal in all
of it are told apart by their occurrence. The row's label becomes a label.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import BinaryIO

from freshledger.amounts import format_amount
from freshledger.chains import normalize_txid
from freshledger.errors import Invalid
from freshledger.imports.formats.csv_rows import Layout, Row, has_header, read_records
from freshledger.imports.formats.records import Format, Movement, Options, Record
from freshledger.imports.formats.values import (
    NAME_LIMIT,
    NOTE_LIMIT,
    asset_name,
    negative,
    positive_amount,
    utc_time,
)
from freshledger.text import clean_text

LAYOUT = Layout(
    {
        "time": "Date",
        "sent": "Sent Amount",
        "sent_asset": "Sent Currency",
        "received": "Received Amount",
        "received_asset": "Received Currency",
        "fee": "Fee Amount",
        "fee_asset": "Fee Currency",
        "worth": "Net Worth Amount",
        "worth_currency": "Net Worth Currency",
        "label": "Label",
        "note": "Description",
        "txid": "TxHash",
    }
)
_REWARDS = {"airdrop", "fork", "mining", "reward", "staking"}
_INCOME = {"income", "other_income", "other income", "lending_interest", "lending interest",
           "cashback", "salary", "fee_refund"}  # fmt: skip
_CURRENCY_LENGTH = range(2, 11)


@dataclass(frozen=True, slots=True)
class Leg:
    """One amount of a row, signed."""

    kind: str
    asset: str
    amount: Decimal


def parse(file: BinaryIO, options: Options) -> Iterator[Record]:
    """Read the rows; one chain for all of them, if the user names it."""
    return read_records(file, LAYOUT, lambda row: _movements(row, options))


def _movements(row: Row, options: Options) -> Iterator[Movement]:
    legs = [leg for kind in ("sent", "received", "fee") if (leg := _leg(row, kind))]
    if not legs:
        column = row.name("sent")
        raise Invalid(f"{column}: the row has no amount sent, received or paid", field=column)
    occurred_at = row.read("time", utc_time)
    txid = row.read("txid", normalize_txid) if row.text("txid") else None
    start = f"koinly:{txid or ''}:{occurred_at:%Y-%m-%dT%H:%M:%S.%f}"
    whole = ":".join(f"{leg.asset}:{format_amount(leg.amount)}" for leg in legs)
    label = clean_text(row.text("label"), limit=NAME_LIMIT)
    for leg in legs:
        main = leg is legs[0] or leg.kind != "fee"
        value, currency = _worth(row, leg) if leg.kind != "fee" else (None, None)
        yield Movement(
            line=row.line,
            identity=f"{start}:{leg.kind}:{leg.asset}:{format_amount(leg.amount)}",
            group_key=txid or f"{start}:{whole}",
            occurred_at=occurred_at,
            type=_type(leg, legs, label),
            status="confirmed",
            asset=leg.asset,
            amount=leg.amount,
            chain=options.chain,
            txid=txid,
            fiat_value=value,
            fiat_currency=currency,
            note=clean_text(row.text("note"), limit=NOTE_LIMIT, lines=True) if main else "",
            labels=(label,) if label and main else (),
        )


def _leg(row: Row, kind: str) -> Leg | None:
    if not row.text(kind) and not row.text(f"{kind}_asset"):
        return None
    amount = row.read(kind, positive_amount)
    asset = row.read(f"{kind}_asset", _asset)
    if kind == "fee" and not amount:
        return None
    return Leg(kind, asset, amount if kind == "received" else negative(amount))


def _type(leg: Leg, legs: list[Leg], label: str) -> str:
    if leg.kind == "fee":
        return "fee"
    if len([one for one in legs if one.kind != "fee"]) > 1:
        return "trade"
    if leg.kind == "sent":
        return "send"
    known = label.casefold()
    return "reward" if known in _REWARDS else "income" if known in _INCOME else "receive"


def _worth(row: Row, leg: Leg) -> tuple[Decimal | None, str | None]:
    """Return what the row is worth, with the leg's sign."""
    currency = row.text("worth_currency").upper()
    if not row.text("worth") or not currency:
        return None, None
    if not (currency.isascii() and currency.isalnum() and len(currency) in _CURRENCY_LENGTH):
        column = row.name("worth_currency")
        raise Invalid(f"{column}: {currency[:20]!r} is not a currency such as EUR", field=column)
    value = row.read("worth", positive_amount)
    return (value if leg.amount >= 0 else negative(value)), currency


def _asset(text: str, *, field: str) -> str:
    # Koinly adds its own number of an ambiguous symbol: WFLR;9546698.
    return asset_name(text.partition(";")[0], field=field)


FORMATS = (Format("koinly", "Koinly: universal CSV", lambda head: has_header(head, LAYOUT), parse),)
