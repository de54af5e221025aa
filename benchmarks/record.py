"""What runs found, as it is kept in JSON: every round, on which machine, of which commit."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from benchmarks.machine import describe_commit, describe_machine, list_versions
from benchmarks.measures import Measure

DIGITS = 6


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the benchmark: when (UTC), of which commit, on what, and what it found."""

    at: datetime
    commit: str
    smoke: bool
    machine: dict[str, str]
    versions: dict[str, str]
    measures: tuple[Measure, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """The rows of the table that it measured."""
        return tuple(sorted({measure.line for measure in self.measures}, key=order))

    def without(self, lines: Iterable[str]) -> "Run":
        """Return it as if it had not measured these rows of the table."""
        gone = set(lines)
        return replace(self, measures=tuple(one for one in self.measures if one.line not in gone))


@dataclass(frozen=True, slots=True)
class Record:
    """What one or more runs found, the earliest first; no row of the table is two runs'."""

    runs: tuple[Run, ...]

    @property
    def measures(self) -> list[Measure]:
        """All of them, in the order of the table."""
        found = [measure for run in self.runs for measure in run.measures]
        return sorted(found, key=lambda measure: order(measure.line))

    @property
    def smoke(self) -> bool:
        """Whether any of it is too small to mean anything."""
        return any(run.smoke for run in self.runs)


def order(line: str) -> tuple[int, str]:
    """Return what rows of the table are sorted by: 1b comes before 2, and 2 before 10."""
    digits = re.match(r"\d*", line)[0]
    return int(digits or 0), line


def make_run(found: Iterable[Measure], *, postgresql: str, smoke: bool) -> Run:
    """Describe a run that ends now, on this machine, of the commit that is checked out."""
    return Run(
        at=datetime.now(UTC).replace(microsecond=0),
        commit=describe_commit(),
        smoke=smoke,
        machine=describe_machine(),
        versions=list_versions() | {"PostgreSQL": postgresql},
        measures=tuple(replace(one, rounds=tuple(map(_rounded, one.rounds))) for one in found),
    )


def _rounded(number: float) -> float:
    return float(f"{number:.{DIGITS}g}")


def merge(records: Sequence[Record]) -> Record:
    """Put runs together; of a row that several have measured the last one given counts."""
    kept: list[Run] = []
    for run in (run for record in records for run in record.runs):
        kept = [other.without(run.lines) for other in kept]
        kept.append(run)
    return Record(tuple(run for run in kept if run.measures))


def read(place: Path) -> Record:
    """Read a record; raises ClickException for a file that is none."""
    try:
        return msgspec.json.decode(place.read_bytes(), type=Record)
    except (OSError, msgspec.MsgspecError) as error:
        raise click.ClickException(f"{place} is no record of a benchmark: {error}") from error


def write(record: Record, place: Path) -> None:
    """Write a record, with a line for each measure, so that versions of it can be compared."""
    place.parent.mkdir(parents=True, exist_ok=True)
    runs = ",\n".join(_lines(run) for run in record.runs)
    place.write_text(f'{{"runs":[\n{runs}\n]}}\n')


def _lines(run: Run) -> str:
    told = msgspec.to_builtins(run)
    measures = ",\n".join(
        _encoded({name: value for name, value in one.items() if value not in (None, "")})
        for one in told.pop("measures")
    )
    head = _encoded(told).removesuffix("}")
    return f'{head},"measures":[\n{measures}\n]}}'


def _encoded(value: object) -> str:
    return msgspec.json.encode(value).decode()
