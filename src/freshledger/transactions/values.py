"""The values of a filter's terms: each parser returns the canonical text or raises Invalid."""

import re
from collections.abc import Callable

from freshledger.amounts import format_amount, parse_amount
from freshledger.chains import CHAINS, normalize_address, normalize_txid, parse_chain
from freshledger.errors import Invalid
from freshledger.models import STATUSES, TYPES

NONE = "none"
"""As a label, contact or chain: those that have none."""

MAX_TEXT = 200
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SLUG = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
_CONTRACT = re.compile(r"0x[0-9a-fA-F]{40}|(?=[0-9a-zA-Z]*[0-9])[0-9a-zA-Z]{25,}")
_LOWER_CASED = ("0x", "bc1", "tb1", "bcrt1", "ltc1", "tltc1")

Parser = Callable[[str, str], str]
"""Takes the text, stripped and not empty, and the name of the parameter it stands in."""


def is_contract(asset: str) -> bool:
    """Tell whether an asset's value is a contract address, not a symbol."""
    return _CONTRACT.fullmatch(asset) is not None


def parse_id(text: str, name: str) -> int:
    """Return a number the database gave; raises Invalid naming `name`."""
    if not text.isascii() or not text.isdigit() or len(text) > 18:  # noqa: PLR2004 - fits a bigint
        raise Invalid(f"{name}: {text[:40]!r} is not an id", field=name)
    return int(text)


def _id(text: str, name: str) -> str:
    return str(parse_id(text, name))


def _id_or_none(text: str, name: str) -> str:
    return NONE if text.lower() == NONE else _id(text, name)


def _printable(text: str, name: str) -> str:
    if _UNPRINTABLE.search(text) or len(text) > MAX_TEXT:
        raise Invalid(
            f"{name}: at most {MAX_TEXT} characters, none of them control characters", field=name
        )
    return text


def _address(text: str, name: str) -> str:
    return normalize_address(text, field=name)


def _counterparty(text: str, name: str) -> str:
    if not text.endswith("*"):
        return normalize_address(text, field=name)
    prefix = text.rstrip("*")
    normalize_address(prefix, field=name)
    lower = prefix.lower()
    return (lower if lower.startswith(_LOWER_CASED) else prefix) + "*"


def _one_of(known: tuple[str, ...]) -> Parser:
    def parse(text: str, name: str) -> str:
        if text.lower() not in known:
            raise Invalid(f"{name}: must be one of {', '.join(known)}", field=name)
        return text.lower()

    return parse


def _chain(text: str, name: str) -> str:
    known = {NONE, *CHAINS}
    if text.lower() in known:
        return text.lower()
    return text if _SLUG.fullmatch(text) else parse_chain(text, field=name).slug


def _asset(text: str, name: str) -> str:
    text = _printable(text, name)
    return normalize_address(text, field=name) if is_contract(text) else text


def _txid(text: str, name: str) -> str:
    return normalize_txid(text, field=name)


def _text(text: str, name: str) -> str:
    return _printable(" ".join(text.split()), name)


def parse_size(text: str, name: str) -> str:
    """Return an absolute amount in full; raises Invalid if it is none or negative."""
    amount = parse_amount(text, field=name)
    if amount < 0:
        raise Invalid(f"{name}: amounts are compared without sign; leave the minus out", field=name)
    return format_amount(amount)


PARSERS: dict[str, Parser] = {
    "wallet": _id,
    "address": _address,
    "counterparty": _counterparty,
    "contact": _id_or_none,
    "type": _one_of(TYPES),
    "asset": _asset,
    "chain": _chain,
    "label": _id_or_none,
    "status": _one_of(STATUSES),
    "txid": _txid,
    "q": _text,
}
"""By the names in the URL, in the order that terms are kept in."""
