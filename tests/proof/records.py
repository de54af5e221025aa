"""What clients did and what they were shown, as they saw it: JSON lines, one file a process.

Times are nanoseconds of CLOCK_MONOTONIC, which all processes of a machine share.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Literal, TextIO

import msgspec

Kind = Literal[
    "edit", "label", "bulk", "create", "delete", "foreign",
    "api", "row", "totals", "page", "block", "not_modified", "settled", "event",
]  # fmt: skip
Outcome = Literal["ok", "fail", "unknown", "left"]
"""`ok`: acknowledged. `fail`: refused, so nothing is left. `unknown`: the answer was lost.

`left`: nothing refuses it, and its client went away when all of it had arrived.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A movement as an answer shows it: labels by name, sorted; the amount without far zeros."""

    version: int
    note: str
    amount: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """What one answer shows, all of it of the ledger's `version` as it says.

    `whole`: `rows` are all that the ledger has. `sums` are net per asset.
    """

    version: int
    rows: dict[int, Row] = field(default_factory=dict)
    whole: bool = False
    count: int | None = None
    sums: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What an event tells of one version."""

    version: int
    actor: str
    table: str
    operation: str
    count: int


@dataclass(frozen=True, slots=True)
class Told:
    """An event of a stream; `stream` numbers the connections of a client.

    A stream's first event has `first`, and in `asked` the version that its client said it had.
    """

    name: str
    stream: int
    version: int
    since: int | None = None
    changes: tuple[Change, ...] = ()
    first: bool = False
    asked: int | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One operation of one client.

    `effects` are what a write leaves in the ledger's record, see below; `base` is the version
    of `row` that an edit named, `answered` the one its answer told. A repeated request with
    the same key is one operation, from its first sending to its last answer; `same_again` says
    of one that was sent again after its answer whether it was answered so again.
    """

    process: str
    client: str
    kind: Kind
    invoked: int
    returned: int
    outcome: Outcome = "ok"
    what: str = ""
    status: int | None = None
    effects: tuple[str, ...] = ()
    row: int | None = None
    base: int | None = None
    answered: int | None = None
    same_again: bool | None = None
    shown: Shown | None = None
    told: Told | None = None

    def __str__(self) -> str:
        start, end = self.invoked / 1e9, self.returned / 1e9
        seen = self.shown or self.told
        version = f", version {seen.version}" if seen else ""
        status = f" {self.status}" if self.status else ""
        return (
            f"{self.client}@{self.process} {self.kind} {self.what}"
            f" [{start:.6f}, {end:.6f}] {self.outcome}{status}{version}"
        )


def now() -> int:
    return time.monotonic_ns()


def value_set(row: int, column: str, text: str) -> str:
    """The effect of an edit of one column of a movement."""
    return f"transactions {row} {column}={text}"


def field_of(effect: str) -> str | None:
    """The column that an effect of `value_set` sets."""
    table, _, rest = effect.partition(" ")
    place, _, named = rest.partition(" ")
    return (
        named.partition("=")[0] if table == "transactions" and place.isdigit() and named else None
    )


def linked(row: int, label: int) -> str:
    return f"transaction_labels {row} +{label}"


def unlinked(row: int, label: int) -> str:
    return f"transaction_labels {row} -{label}"


def created(table: str, text: str) -> str:
    """The effect of a new row: of its name or note, for its id is not known before."""
    return f"{table} +{text}"


def deleted(table: str, identifier: int) -> str:
    return f"{table} -{identifier}"


def plain(amount: Decimal | str) -> str:
    """An amount in the one way in which amounts are compared."""
    exact = Decimal(amount)
    return format(exact.normalize() if exact else Decimal(0), "f")


class Recorder:
    """Appends records to a process's file, each as it happens: a killed process keeps its own."""

    def __init__(self, process: str, file: TextIO) -> None:
        self.process = process
        self.file = file

    def add(self, record: Record) -> Record:
        self.file.write(msgspec.json.encode(record).decode() + "\n")
        return record


def read_records(paths: Iterable[Path]) -> Iterator[Record]:
    """Read whole lines; the last one of a killed process may be half."""
    decoder = msgspec.json.Decoder(Record)
    for path in paths:
        for line in path.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                yield decoder.decode(line)
