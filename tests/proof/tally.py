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


class Result(msgspec.Struct):
    """What one fault came to; `errors` were answered 500, `recovery` is in seconds."""

    fault: str
    seconds: float
    injections: int
    operations: int
    reads: int
    under: int
    violations: int
    errors: int
    recovery: list[tuple[float, float]]

    @property
    def recovered(self) -> tuple[float, float, float, float] | None:
        """Median and longest time to the first acknowledged write and to the first fresh read."""
        if not self.recovery:
            return None
        writes, reads = zip(*self.recovery, strict=True)
        return median(writes), max(writes), median(reads), max(reads)


def reads_under(reads: Iterable[int], injections: Sequence[Injection]) -> int:
    """Count the reads, by their beginnings, that began during a fault or within 2 s after."""
    windows = sorted((one.begun, one.over + AFTER) for one in injections)
    place, counted = 0, 0
    for begun in sorted(reads):
        while place < len(windows) and windows[place][1] < begun:
            place += 1
        counted += place < len(windows) and windows[place][0] <= begun
    return counted


def recovery_of(injection: Injection, records: Iterable[Record]) -> tuple[float, float]:
    """Return the seconds to the first write and to the first answered read that began after.

    Raises AssertionError where there was none.
    """
    ok = [one for one in records if one.outcome == "ok" and one.invoked >= injection.since]
    writes = [one.returned for one in ok if one.kind in EDITS and one.kind != "foreign"]
    reads = [one.returned for one in ok if one.kind in READS]
    if not writes or not reads:
        raise AssertionError("it never recovered: no write or no read was answered any more")
    return (min(writes) - injection.since) / 1e9, (min(reads) - injection.since) / 1e9


HEAD = (
    "fault", "injections", "operations", "checked reads", "of them under the fault",
    "violations", "first write after, median / longest", "first read after, median / longest",
)  # fmt: skip


def table(results: Sequence[Result]) -> str:
    """Draw the Markdown table of docs/freshness.md, with a last row for all the faults."""
    lines = ["| " + " | ".join(HEAD) + " |", "|---|" + "---:|" * (len(HEAD) - 1)]
    for one in results:
        times = one.recovered
        shown = [f"{times[n]:.2f} / {times[n + 1]:.2f} s" for n in (0, 2)] if times else ["", ""]
        lines.append(_line(one.fault, one, shown))
    faults = [one for one in results if one.fault != FAULTS["calm"].name]
    everything = Result(
        "all",
        sum(one.seconds for one in faults),
        *(
            sum(getattr(one, name) for one in faults)
            for name in ("injections", "operations", "reads", "under", "violations", "errors")
        ),
        [],
    )
    lines.append(_line("**all faults**", everything, ["", ""]))
    return "\n".join(lines)


def _line(name: str, one: Result, times: list[str]) -> str:
    counts = (one.injections, one.operations, one.reads, one.under, one.violations)
    return "| " + " | ".join([name, *(f"{count:,}" for count in counts), *times]) + " |"
