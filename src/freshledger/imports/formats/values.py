"""Cells read exactly: amounts, times, addresses. Each raises Invalid naming the column."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from freshledger.amounts import EXACT, parse_amount, plain
from freshledger.chains import CHAINS, Chain, normalize_address
from freshledger.errors import Invalid
from freshledger.imports.formats.records import Options, Unreadable
from freshledger.text import clean_text

NOTE_LIMIT, NAME_LIMIT, LABEL_LIMIT = 10_000, 100, 255
"""Characters of a note, of a name (asset, label), of a label in BIP-329; the rest is cut."""

_GROUPED = re.compile(r"-?\d{1,3}(,\d{3})+(\.\d*)?", re.ASCII)
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?))?\s*"
    r"(Z|UTC|GMT|[+-]\d\d:?\d\d)?",
    re.ASCII,
)
_OFFSETS = {None: "", "Z": "+00:00", "UTC": "+00:00", "GMT": "+00:00"}
_WHOLE = re.compile(r"\d{1,15}", re.ASCII)
_AHEAD = timedelta(days=1)


def native_chain(options: Options, usual: str) -> Chain:
    """Return the chain the user chose, or the usual one; raises Unreadable if unknown."""
    chain = CHAINS.get(options.chain or usual)
    if chain is None:
        raise Unreadable(1, f"{(options.chain or '')[:40]!r} is no known chain; choose another")
    return chain


def add(left: Decimal, right: Decimal) -> Decimal:
    """Add without rounding, whatever the number of digits."""
    return plain(EXACT.add(left, right))


def times(left: Decimal, right: Decimal) -> Decimal:
    """Multiply without rounding."""
    return plain(EXACT.multiply(left, right))


def negative(amount: Decimal) -> Decimal:
    """Turn the sign without rounding (Decimal's own minus rounds to 28 digits)."""
    return plain(amount.copy_negate())


def positive_amount(text: str, *, field: str) -> Decimal:
    """Read an amount that has no sign in this source."""
    amount = parse_amount(text, field=field)
    if amount < 0:
        raise Invalid(f"{field}: {text[:60]!r} must not be negative", field=field)
    return amount


def grouped_amount(text: str, *, field: str) -> Decimal:
    """Read an amount that may have thousands commas, such as 3,067.671."""
    text = text.strip()
    plain_text = text.replace(",", "") if _GROUPED.fullmatch(text) else text
    return positive_amount(plain_text, field=field)


def whole_units(text: str, *, field: str) -> int:
    """Read an integer of smallest units (wei, raw token units)."""
    amount = positive_amount(text, field=field)
    if amount != amount.to_integral_value(context=EXACT):
        raise Invalid(f"{field}: {text[:60]!r} is not a whole number of units", field=field)
    return int(amount)


def json_amount(value: object, *, field: str) -> Decimal:
    """Read a JSON number or a string that holds one."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise Invalid(f"{field}: {str(value)[:60]!r} is not a number", field=field)
    return parse_amount(str(value), field=field)


def instant(moment: datetime, text: str, field: str) -> datetime:
    """Return a time in UTC; one in the future is refused."""
    try:
        moment = moment.astimezone(UTC)
    except OverflowError as error:
        raise Invalid(f"{field}: {text[:40]!r} is no possible time", field=field) from error
    if moment > datetime.now(UTC) + _AHEAD:
        raise Invalid(f"{field}: {text[:40]!r} is in the future; correct it", field=field)
    return moment


def unix_time(text: str, *, field: str) -> datetime:
    """Read seconds since 1970."""
    text = text.strip()
    if not _WHOLE.fullmatch(text) or int(text) == 0:
        raise Invalid(f"{field}: {text[:40]!r} is not a Unix time in seconds", field=field)
    try:
        return instant(datetime.fromtimestamp(int(text), UTC), text, field)
    except (ValueError, OverflowError, OSError) as error:
        raise Invalid(
            f"{field}: {text[:40]!r} is in the future; correct it", field=field
        ) from error


def local_time(text: str, *, field: str, zone: ZoneInfo) -> datetime:
    """Read a time such as 2018-06-29 13:29:07; one that names no zone is of `zone`.

    An hour that a change of clocks repeats is taken as the first of the two.
    """
    text = text.strip()
    match = _TIME.fullmatch(text)
    if match is None:
        raise Invalid(
            f"{field}: {text[:40]!r} is not a time such as 2024-01-31 12:00:00", field=field
        )
    day, hour, offset = match.groups()
    offset = _OFFSETS.get(offset, offset)
    try:
        moment = datetime.fromisoformat(f"{day}T{hour or '00:00'}{offset}")
    except ValueError as error:
        raise Invalid(f"{field}: {text[:40]!r} is no possible time", field=field) from error
    return instant(moment if moment.tzinfo else moment.replace(tzinfo=zone), text, field)


_UTC = ZoneInfo("UTC")


def utc_time(text: str, *, field: str) -> datetime:
    """Read a time that is UTC unless it names an offset; whole numbers are Unix seconds."""
    if _WHOLE.fullmatch(text.strip()) and len(text.strip()) > len("20240131"):
        return unix_time(text, field=field)
    return local_time(text, field=field, zone=_UTC)


def optional_address(text: str, *, field: str) -> str | None:
    """Read an address in stored form; an empty cell is none."""
    return normalize_address(text, field=field) if text.strip() else None


def asset_name(text: str, *, field: str) -> str:
    """Read an asset's symbol; tokens can call themselves anything, so it is cleaned."""
    symbol = clean_text(text, limit=NAME_LIMIT)
    if not symbol:
        raise Invalid(f"{field}: the asset has no name that can be shown", field=field)
    return symbol
