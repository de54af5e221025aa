"""Counts what a run under faults showed, and draws the table."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

import msgspec

from proof.checker import EDITS, READS
from proof.injectors import FAULTS, Injection
from proof.records import Record

AFTER = 2_000_000_000
"""Nanoseconds after a fault in which a read that begins still counts as made under it."""


class Brief(msgspec.Struct):
    """As much of a record as counting needs."""

    kind: str
    invoked: int
    returned: int
    outcome: str = "ok"
    shown: msgspec.Raw = msgspec.Raw()

    @property
    def is_read(self) -> bool:
        """Tell whether it is one response or one event that the checker judges."""
        return self.kind == "event" or (self.kind in READS and self.outcome == "ok")


class Tail:
    """Follows a history that is being written."""

    def __init__(self, path: Path) -> None:
        self._path, self._offset = path, 0
        self._decoder = msgspec.json.Decoder(Brief)

    def new(self) -> list[Brief]:
        """Return the records that have come since the last time."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._offset)
            whole, _, _half = file.read().rpartition(b"\n")
        self._offset += len(whole) + 1 if whole else 0
        return [self._decoder.decode(line) for line in whole.splitlines()]


class Times(msgspec.Struct, frozen=True):
    """Seconds to the first acknowledged write, the first fresh read, and the first event told."""

    write: float
    read: float
    event: float


class Result(msgspec.Struct):
    """What one fault came to; `errors` were answered 500, `recovery` is in seconds."""

    fault: str
    seconds: float
    injections: int
    operations: int
    reads: int
    events: int
    under: int
    violations: int
    errors: int
    recovery: list[Times]


def reads_under(reads: Iterable[int], injections: Sequence[Injection]) -> int:
    """Count the reads, by their beginnings, that began during a fault or within 2 s after."""
    windows = sorted((one.begun, one.over + AFTER) for one in injections)
    place, counted = 0, 0
    for begun in sorted(reads):
        while place < len(windows) and windows[place][1] < begun:
            place += 1
        counted += place < len(windows) and windows[place][0] <= begun
    return counted


def recovery_of(injection: Injection, records: Iterable[Record]) -> Times:
    """Return how long it took until one was written, shown and told what began after.

    The first event of a stream does not count: it is told although nobody listens to commits.
    Raises AssertionError where there was none.
    """
    ok = [one for one in records if one.outcome == "ok" and one.invoked >= injection.since]
    firsts = [
        [one.returned for one in ok if one.kind in EDITS and one.kind != "foreign"],
        [one.returned for one in ok if one.kind in READS],
        [one.returned for one in ok if one.told and not one.told.first],
    ]
    if not all(firsts):
        raise AssertionError("it never recovered: nothing was written, shown or told any more")
    return Times(*((min(first) - injection.since) / 1e9 for first in firsts))


HEAD = (
    "fault", "injections", "operations", "checked reads", "events among them", "under the fault",
    "violations", "answers 500", "first write after, median / longest", "first read",
    "first event",
)  # fmt: skip


def table(results: Sequence[Result]) -> str:
    """Draw the Markdown table of docs/freshness.md, with a last row for all the faults."""
    lines = ["| " + " | ".join(HEAD) + " |", "|---|" + "---:|" * (len(HEAD) - 1)]
    lines += [_line(one.fault, one, _times(one)) for one in results]
    faults = [one for one in results if one.fault != FAULTS["calm"].name]
    everything = Result(
        "all",
        sum(one.seconds for one in faults),
        *(
            sum(getattr(one, name) for one in faults)
            for name in (
                "injections",
                "operations",
                "reads",
                "events",
                "under",
                "violations",
                "errors",
            )
        ),
        [],
    )
    lines.append(_line("**all faults**", everything, ["", "", ""]))
    return "\n".join(lines)


def _times(one: Result) -> list[str]:
    series = [[getattr(times, name) for times in one.recovery] for name in Times.__struct_fields__]
    return [f"{median(each):.2f} / {max(each):.2f} s" if each else "" for each in series]


def _line(name: str, one: Result, times: list[str]) -> str:
    counts = (
        one.injections,
        one.operations,
        one.reads,
        one.events,
        one.under,
        one.violations,
        one.errors,
    )
    return "| " + " | ".join([name, *(f"{count:,}" for count in counts), *times]) + " |"
