"""How measures are told: numbers, bounds, and what the rows of the table are."""

import math

from benchmarks.measures import Measure

WORK = {
    "1a": "JSON page of 50 of 1,000,000 movements, filtered by asset; peers with the total count",
    "1b": "the same; peers without the total count",
    "2": "the same, unchanged (If-None-Match)",
    "3": "the HTML page of the same rows",
    "4": "page 10,000 against page 1",
    "5": "each filter of the page, from 10,000 to 10,000,000 rows",
    "6": "commit in psql → event at the last open stream",
    "7": "commit → the last open page holds the new rows",
    "8": "import of 1,000,000 rows",
    "9": "label all matches of a filter, 100,000 rows",
    "10": "memory",
    "11": "serve on existing data, to the first page",
    "12": "a page beside ever more ledgers and users",
    "13": "commit in psql → an open page in Chromium is painted with it",
}
"""The rows of the table."""

MISSED = "NOT REACHED"
DIGITS = 3


def heading(line: str) -> str:
    """Return what a row of the table is about."""
    return f"{line}. {WORK[line]}" if line in WORK else line


def number(value: float) -> str:
    """Return three digits of it, or all that stand before the point."""
    before = math.floor(math.log10(abs(value))) if value else 0
    digits = min(max(DIGITS - 1 - before, 0), DIGITS)
    return f"{value:,.{digits}f}"


def middle(measure: Measure) -> str:
    """Return its median, with the unit."""
    return f"{number(measure.middle)} {measure.unit}"


def spread(measure: Measure) -> str:
    """Return its least and its most, where there was more than one round."""
    least, most = measure.spread
    return f"{number(least)} to {number(most)}" if len(measure.rounds) > 1 else ""


def bound(measure: Measure) -> str:
    """Return what it has to be, if anything."""
    bounds = (("≥", measure.at_least), ("≤", measure.at_most))
    return ", ".join(f"{sign} {value:,g}" for sign, value in bounds if value is not None)


def reached(measure: Measure) -> str:
    """Return whether it is what it has to be."""
    return {True: "ok", False: MISSED, None: ""}[measure.reached]


def summary(measures: list[Measure]) -> str:
    """Return in one sentence how many bounds there are, and which were missed."""
    bounded = [one for one in measures if one.reached is not None]
    missed = [f"{one.line} {one.name}" for one in bounded if not one.reached]
    told = f"{len(bounded) - len(missed)} of {len(bounded)} bounds reached"
    return f"{told}; not reached: {'; '.join(missed)}." if missed else f"{told}."
