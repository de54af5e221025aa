"""Amounts: Decimal only, exact to the last digit, strings outside of Python."""

import re
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal

from freshledger.errors import Invalid

# A token may have 18 or more decimals and an absurd supply; 78 digits hold any uint256.
MAX_DIGITS_BEFORE_POINT = 80
MAX_DIGITS_AFTER_POINT = 80

EXACT = Context(prec=MAX_PREC // 2**20, Emax=MAX_EMAX, Emin=MIN_EMIN)
"""A context in which no sum, product or scaling of amounts is ever rounded."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)


def parse_amount(text: str, *, field: str = "amount") -> Decimal:
    """Read a number exactly as written; raises Invalid naming `field` if it is none.

    Digits, one point and an exponent are understood, no thousands separators.
    """
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        raise Invalid(f"{field}: {text[:60]!r} is not a number", field=field)
    amount = Decimal(text)
    digits, exponent = amount.as_tuple().digits, int(amount.as_tuple().exponent)
    before, after = len(digits) + exponent, -exponent
    if amount and (before > MAX_DIGITS_BEFORE_POINT or after > MAX_DIGITS_AFTER_POINT):
        raise Invalid(
            f"{field}: {text[:60]!r} has more than {MAX_DIGITS_BEFORE_POINT} digits"
            " before or after the point",
            field=field,
        )
    return plain(amount)


def plain(amount: Decimal) -> Decimal:
    """Return the same value without exponent, trailing zeros or negative zero."""
    return Decimal(format_amount(amount))


def format_amount(amount: Decimal) -> str:
    """Write an amount in full: no exponent, no trailing zeros, no '-0'."""
    text = f"{amount:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", "-", ""} else text


def scale_down(units: int | Decimal, decimals: int) -> Decimal:
    """Turn an integer of smallest units (wei, satoshi) into an exact amount."""
    return plain(Decimal(units).scaleb(-decimals, context=EXACT))
