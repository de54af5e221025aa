"""What a benchmark found: one number per round, and what it has to be.

A measure named "curve: <chart>: <series>: <x>" is a point of a curve: of the chart with that name,
which is what its x-axis counts (rows, ledgers, users, open pages), of one of its lines, at x, a
number above 0. All points of a chart have one unit. Curves stand in the charts, not in the table.
`on_curve` makes them.
"""

import re
from dataclasses import dataclass
from statistics import median

TIMES = "×"
"""The unit of a ratio."""

_CURVE = re.compile(r"curve: ([^:]+): (.+): ([\d_.]+)")


@dataclass(frozen=True, slots=True)
class Point:
    """Where a measure stands in a chart."""

    chart: str
    series: str
    x: float


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that was measured, once in each round; `line` is the row of the table it is for.

    `unit` is requests/s, ms, s, KB, rows/s, or × for a ratio of two things that were measured
    beside each other in the same round. With neither bound it is only stated.
    """

    line: str
    name: str
    unit: str
    rounds: tuple[float, ...]
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""

    def __post_init__(self) -> None:
        """Refuse what looks like a point of a curve and is none."""
        if self.name.startswith("curve:") and self.point is None:
            raise ValueError(f"{self.name} is not curve: <chart>: <series>: <x>")

    @property
    def middle(self) -> float:
        """The median of the rounds."""
        return median(self.rounds)

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the most of the rounds."""
        return min(self.rounds), max(self.rounds)

    @property
    def point(self) -> Point | None:
        """Where it stands in a chart, if it is a point of a curve."""
        found = _CURVE.fullmatch(self.name)
        return Point(found[1], found[2], float(found[3])) if found else None

    @property
    def reached(self) -> bool | None:
        """Whether the median is within the bound; None where there is none."""
        if self.at_least is None and self.at_most is None:
            return None
        least_kept = self.at_least is None or self.middle >= self.at_least
        return least_kept and (self.at_most is None or self.middle <= self.at_most)


def ratio(
    line: str,
    name: str,
    these: tuple[float, ...],
    those: tuple[float, ...],
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    note: str = "",
) -> Measure:
    """Divide two things round by round: `these` by `those`."""
    rounds = tuple(one / other for one, other in zip(these, those, strict=True))
    return Measure(line, name, TIMES, rounds, at_least, at_most, note)


def on_curve(
    line: str, chart: str, series: str, x: float, unit: str, rounds: tuple[float, ...]
) -> Measure:
    """Return a point of a curve."""
    return Measure(line, f"curve: {chart}: {series}: {x}", unit, rounds)
