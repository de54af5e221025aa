"""What a person writes into a movement, from a form or JSON: each error names its field."""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from freshledger.amounts import format_amount, parse_amount
from freshledger.chains import display_address, normalize_address, normalize_txid, parse_chain
from freshledger.errors import Invalid
from freshledger.models import STATUSES, TYPES
from freshledger.text import fit_text
from freshledger.transactions.periods import parse_instant
from freshledger.transactions.values import is_contract, parse_id

Fields = Mapping[str, str | int | None]
"""A form's or a JSON object's fields; empty text and None are "no value"."""

REQUIRED = ("wallet_id", "occurred_at", "type", "asset", "amount")
MAX_NOTE, MAX_NAME = 10_000, 100
_IN_FORM = ("type", "counterparty", "occurred_at", "amount", "note")
_LOCAL = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?", re.ASCII)
_CURRENCY = re.compile(r"[A-Z0-9]{2,10}")


def parse_fields(
    fields: Fields, *, allowed: frozenset[str], zone: ZoneInfo | None = None
) -> dict[str, Any]:
    """Return columns and values of what was given; raises Invalid naming the field.

    A time without offset is of `zone`, where there is one.
    """
    for name in fields:
        if name not in allowed or name not in _PARSERS:
            raise Invalid(f"{name[:60]!r} is not a field that can be set here", field=name[:60])
    values: dict[str, Any] = {}
    for name, value in fields.items():
        text = str(value).strip() if value is not None else ""
        if name == "occurred_at" and text:
            values[name] = parse_time(text, zone)
        else:
            values[name] = _PARSERS[name](text, name) if text else _nothing(name)
    return values


def form_texts(columns: Mapping[str, Any], zone: ZoneInfo) -> dict[str, str]:
    """Return the texts of the form that corrects a movement; its contact is not among them."""
    return {name: field_text(name, columns[name], zone) for name in _IN_FORM}


def field_text(name: str, value: Any, zone: ZoneInfo) -> str:  # noqa: ANN401 - a column's value
    """Write a value as its field has it; browsers take times in milliseconds at most."""
    if name == "occurred_at":
        local = value.astimezone(zone).replace(tzinfo=None)
        return str(local.isoformat(timespec="milliseconds" if local.microsecond else "seconds"))
    if name == "amount":
        return format_amount(value)
    if name == "counterparty" and value:
        return display_address(value)
    return value or ""


def is_same_text(name: str, text: str, there: str) -> bool:
    """Tell whether a field was left as it is; browsers write the same time in other ways."""
    if name == "occurred_at":
        with suppress(ValueError):
            return datetime.fromisoformat(text) == datetime.fromisoformat(there)
    return text.strip() == there.strip()


def clean_note(text: str) -> str:
    """Return a note as it is stored; raises Invalid, field note."""
    return fit_text(text, field="note", limit=MAX_NOTE, lines=True)


def parse_time(text: str, zone: ZoneInfo | None, *, field: str = "occurred_at") -> datetime:
    """Return a time in UTC; raises Invalid naming `field`."""
    try:
        if zone is not None and _LOCAL.fullmatch(text):
            moment = datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)
            return parse_instant(moment.isoformat())
        return parse_instant(text)
    except (ValueError, OverflowError) as error:
        raise Invalid(
            f"{field}: {text[:40]!r} is not a time such as 2024-01-31T12:00:00Z", field=field
        ) from error


def _nothing(name: str) -> str | None:
    if name in REQUIRED or name == "status":
        raise Invalid(f"{name}: this is needed", field=name)
    return "" if name == "note" else None


def _one_of(known: tuple[str, ...]) -> Callable[[str, str], str]:
    def parse(text: str, name: str) -> str:
        if text not in known:
            raise Invalid(f"{name}: must be one of {', '.join(known)}", field=name)
        return text

    return parse


def _name(text: str, name: str) -> str:
    cleaned = fit_text(text, field=name, limit=MAX_NAME)
    if not cleaned:
        raise Invalid(f"{name}: this is needed", field=name)
    return cleaned


def _contract(text: str, name: str) -> str:
    if not is_contract(text):
        raise Invalid(f"{name}: {text[:60]!r} is not a contract's address", field=name)
    return normalize_address(text, field=name)


def _currency(text: str, name: str) -> str:
    if not _CURRENCY.fullmatch(text.upper()):
        raise Invalid(f"{name}: {text[:20]!r} is not a currency such as EUR", field=name)
    return text.upper()


_PARSERS: dict[str, Callable[[str, str], Any]] = {
    "wallet_id": parse_id,
    "occurred_at": lambda text, name: parse_time(text, None, field=name),
    "type": _one_of(TYPES),
    "status": _one_of(STATUSES),
    "asset": _name,
    "contract": _contract,
    "amount": lambda text, name: parse_amount(text, field=name),
    "own_address": lambda text, name: normalize_address(text, field=name),
    "chain": lambda text, name: parse_chain(text, field=name).slug,
    "txid": lambda text, name: normalize_txid(text, field=name),
    "group_key": _name,
    "counterparty": lambda text, name: normalize_address(text, field=name),
    "contact_id": parse_id,
    "fiat_value": lambda text, name: parse_amount(text, field=name),
    "fiat_currency": _currency,
    "note": lambda text, _name: clean_note(text),
}
CREATABLE = frozenset(_PARSERS)
"""The fields of a movement made by hand."""
