"""What every parser speaks: the options it is given and the records it yields."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

import msgspec


@dataclass(frozen=True, slots=True)
class Options:
    """What the file does not say itself and the user does.

    `address` is the wallet's own address (stored form), `timezone` the zone of times that
    carry none, `chain` the slug of the chain when the content leaves it open.
    """

    address: str | None = None
    timezone: ZoneInfo | None = None
    chain: str | None = None


class Movement(msgspec.Struct, frozen=True):
    """One movement of one asset in or out of the wallet.

    `identity` names the row for ever: made of what never changes between two exports of the
    same source (never price, fiat, label, confirmations, balance, status or order). Equal
    identities within one file are told apart by their occurrence, which the import counts.
    `amount` is signed, in whole units of `asset` (positive is in). `occurred_at` is UTC.
    `line` is the 1-based line of the file, or the 1-based item of a JSON document.
    `wallet` and `contact` are names, and only formats that carry them (our own) set them: a
    row with a wallet goes there, others into the wallet that the user chose. `occurrence` is
    set by them too: which of the equal rows this is, for files that hold only some of them.
    `fiat_value` has the sign of `amount`.
    """

    line: int
    identity: str
    group_key: str
    occurred_at: datetime
    type: str
    status: str
    asset: str
    amount: Decimal
    contract: str | None = None
    chain: str | None = None
    txid: str | None = None
    own_address: str | None = None
    counterparty: str | None = None
    fiat_value: Decimal | None = None
    fiat_currency: str | None = None
    note: str = ""
    labels: tuple[str, ...] = ()
    wallet: str | None = None
    contact: str | None = None
    occurrence: int | None = None


@dataclass(frozen=True, slots=True)
class ReferenceLabel:
    """One line of BIP-329; `extra` keeps its optional fields, numbers as Decimal."""

    line: int
    type: str
    ref: str
    label: str | None = None
    origin: str | None = None
    spendable: bool | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Problem:
    """A row that cannot be read: where, and one clear sentence on what to do.

    A `fatal` problem (not this format, cut off, wrong encoding) ends the file: nothing of
    it can be imported. Others are reported, and the row is left out.
    """

    line: int
    message: str
    column: str | None = None
    fatal: bool = False


class Unreadable(Exception):
    """Raised inside of parsers: the file ends here, and `problem` (fatal) says why."""

    def __init__(self, line: int, message: str, column: str | None = None) -> None:
        super().__init__(message)
        self.problem = Problem(line, message, column, fatal=True)


Record = Movement | ReferenceLabel | Problem


@dataclass(frozen=True, slots=True)
class Format:
    """A source's parser and what it needs to be told.

    `detect` gets the first 64 KiB and says whether this is its format. `parse` gets a
    seekable binary file at its start and yields records in the file's order; it never
    raises for bad content and its memory does not grow with the file.
    """

    slug: str
    title: str
    detect: Callable[[bytes], bool]
    parse: Callable[[BinaryIO, Options], Iterator[Record]]
    needs_address: bool = False
    needs_timezone: bool = False
    needs_chain: bool = False
