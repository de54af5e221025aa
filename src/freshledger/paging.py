"""Pages by key: opaque cursors, and a page with the ways on from it.

A cursor is a position in an order, not a number of rows: rows that arrive or go meanwhile
move nothing that follows. It is bound to its `scope` (which list, in which order), so that
one of another list is refused. It holds nothing secret, and nothing to be trusted: whoever
knows how can make one.
"""

import binascii
import hashlib
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Generic, TypeVar

import msgspec

from freshledger.errors import Invalid

VERSION = 1
MIN_LIMIT, MAX_LIMIT, DEFAULT_LIMIT = 25, 500, 50
_CHECK_BYTES = 6
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_EXACT = re.compile(r"[0-9]+(\.[0-9]+)?")

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place between rows: after `position` in the list's order, or before it if `backward`.

    `position` is the order's columns of a row as text; None is the list's end to begin at:
    the first page, or the last one if `backward`.
    """

    position: tuple[str, ...] | None = None
    backward: bool = False

    def encode(self, *, scope: str) -> str:
        """Write the cursor as URL-safe text."""
        body = msgspec.msgpack.encode([VERSION, self.backward, self.position])
        return urlsafe_b64encode(_check(body, scope) + body).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Rows in the list's order, and cursors: `next` and `previous` are None where nothing is."""

    rows: tuple[Row, ...]
    next: str | None
    previous: str | None
    first: str
    last: str


def decode_cursor(text: str, *, scope: str, columns: int) -> Cursor:
    """Read a cursor of this list; raises Invalid, field cursor, for anything else."""
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        body = raw[_CHECK_BYTES:]
        version, backward, position = msgspec.msgpack.decode(
            body, type=tuple[int, bool, tuple[str, ...] | None]
        )
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise _refusal() from error
    fits = position is None or len(position) == columns
    canonical = Cursor(position, backward)
    if version != VERSION or not fits or canonical.encode(scope=scope) != text:
        raise _refusal()
    return canonical


def whole_number(text: str) -> int:
    """Read a cursor's column that is an id or a count; raises Invalid, field cursor."""
    if not _WHOLE.fullmatch(text):
        raise _refusal()
    return int(text)


def microseconds(moment: datetime) -> str:
    """Write a time as a cursor's column: microseconds since 1970."""
    return str((moment - _EPOCH) // _MICROSECOND)


def moment_of(text: str) -> datetime:
    """Read a time of `microseconds`; raises Invalid, field cursor."""
    try:
        return _EPOCH + whole_number(text) * _MICROSECOND
    except OverflowError as error:
        raise _refusal() from error


def exact_number(text: str) -> Decimal:
    """Read a cursor's column that is an amount's size; raises Invalid, field cursor."""
    if not _EXACT.fullmatch(text):
        raise _refusal()
    return Decimal(text)


def stored_text(text: str) -> str:
    """Read a cursor's column that is text; raises Invalid, field cursor, for what no row holds."""
    if "\0" in text:
        raise _refusal()
    return text


def parse_limit(text: str | None, *, default: int = DEFAULT_LIMIT) -> int:
    """Read a page's size; raises Invalid, field limit, outside of 25 to 500."""
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or not MIN_LIMIT <= int(text[:9]) <= MAX_LIMIT:
        raise Invalid(f"limit: must be a number from {MIN_LIMIT} to {MAX_LIMIT}", field="limit")
    return int(text)


def page_of(
    found: list[Row],
    *,
    cursor: Cursor,
    limit: int,
    behind: bool,
    scope: str,
    key: Any,  # noqa: ANN401
) -> Page[Row]:
    """Make a page of up to `limit` + 1 rows found in the cursor's direction.

    `behind` says whether there are rows on the other side of the cursor; `key` gives a
    row's position.
    """
    more = len(found) > limit
    rows = tuple(found[:limit])
    if cursor.backward:
        rows = rows[::-1]
    before, after = (more, behind) if cursor.backward else (behind, more)
    first, last = _ends(scope)
    ends = (key(rows[0]), key(rows[-1])) if rows else (cursor.position, cursor.position)
    return Page(
        rows=rows,
        next=Cursor(ends[1]).encode(scope=scope) if after else None,
        previous=Cursor(ends[0], backward=True).encode(scope=scope) if before else None,
        first=first,
        last=last,
    )


@lru_cache(maxsize=1024)
def _ends(scope: str) -> tuple[str, str]:
    """Return the cursors of a list's first and last page."""
    return Cursor().encode(scope=scope), Cursor(backward=True).encode(scope=scope)


def _check(body: bytes, scope: str) -> bytes:
    return hashlib.blake2b(scope.encode() + b"\0" + body, digest_size=_CHECK_BYTES).digest()


def _refusal() -> Invalid:
    return Invalid("cursor: not a place in this list; begin at its first page", field="cursor")
