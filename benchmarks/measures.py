"""What a benchmark found: one number per round, and what it has to be."""

from dataclasses import dataclass
from statistics import median

TIMES = "×"
"""The unit of a ratio."""


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

    @property
    def middle(self) -> float:
        """The median of the rounds."""
        return median(self.rounds)

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the most of the rounds."""
        return min(self.rounds), max(self.rounds)

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
