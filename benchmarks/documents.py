"""Writes docs/performance.md's tables and charts, and the record they are made of beside it.

A block stands between `<!-- generated: NAME -->` and `<!-- end -->`, as in docs/diagnosis.md.
"""

import re
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import click

from benchmarks import record as records
from benchmarks import words
from benchmarks.measures import TIMES, Measure
from benchmarks.record import Record, Run
from freshledger.diagnosis.documents import BLOCK

PAGE, RECORD = "performance.md", "performance.json"


def write(record: Record, folder: Path) -> None:
    """Fill the page's blocks, draw its charts anew, and keep the record they are made of."""
    from benchmarks import charts  # noqa: PLC0415 - what is drawn with is only `make bench`'s

    place = folder / PAGE
    place.write_text(render(place.read_text(), record))
    records.write(record, folder / RECORD)
    for old in folder.glob("performance-*.svg"):
        old.unlink()
    drawn = {name: charts.draw_curves(record.measures, name) for name in chart_names(record)}
    if ratios := bounded_ratios(record):
        drawn["ratios"] = charts.draw_ratios(ratios)
    for name, svg in drawn.items():
        (folder / chart_file(name)).write_text(svg)


def chart_file(name: str) -> str:
    """Return the name of a chart's file."""
    return f"performance-{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}.svg"


def chart_names(record: Record) -> list[str]:
    """Return what the curves are by, such as rows, or open pages."""
    return list(dict.fromkeys(one.point.chart for one in record.measures if one.point))


def bounded_ratios(record: Record) -> list[Measure]:
    """Return the ratios that have a bound."""
    return [one for one in record.measures if one.unit == TIMES and one.reached is not None]


def render(text: str, record: Record) -> str:
    """Return the page with all its blocks filled; raises ClickException for an unknown one."""

    def fill(found: re.Match[str]) -> str:
        if found["name"] not in BLOCKS:
            raise click.ClickException(f"nobody knows how to generate “{found['name']}”")
        return f"{found['begin']}{BLOCKS[found['name']](record)}\n{found['end']}"

    return BLOCK.sub(fill, text)


def _runs(record: Record) -> str:
    return "\n".join(_run(run) for run in record.runs)


def _run(run: Run) -> str:
    machine, versions = dict(run.machine), dict(run.versions)
    told = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"- Lines {', '.join(run.lines)}: {run.at:%Y-%m-%d %H:%M} UTC, commit {run.commit}, "
        f"on {machine['cores']} cores ({machine['processor']}), {machine['memory']} of memory, "
        f"{machine['system']}; {told}."
    )


def _summary(record: Record) -> str:
    if record.smoke:
        return "**From a smoke run, which shows that all of it works: these figures mean nothing.**"
    return words.summary(record.measures)


def _table(record: Record) -> str:
    measures = [one for one in record.measures if one.point is None]
    return "\n\n".join(
        f"#### {words.heading(line)}\n\n{_line(list(found))}"
        for line, found in groupby(measures, key=lambda one: one.line)
    )


def _line(found: list[Measure]) -> str:
    """Return what has bounds, and folded below it what is only stated."""
    bounded = [one for one in found if one.reached is not None]
    stated = [one for one in found if one.reached is None]
    if not bounded or not stated:
        return _rows(found)
    figures = "1 figure" if len(stated) == 1 else f"{len(stated)} figures"
    more = f"<details><summary>{figures} more</summary>\n\n{_rows(stated)}\n\n</details>"
    return f"{_rows(bounded)}\n\n{more}"


def _rows(found: list[Measure]) -> str:
    head = "| what | median | spread | bound | |\n|---|--:|--:|--:|---|"
    cells = [
        (_what(one), words.middle(one), words.spread(one), words.bound(one), words.reached(one))
        for one in found
    ]
    return "\n".join([head, *(f"| {' | '.join(row)} |" for row in cells)])


def _what(measure: Measure) -> str:
    told = f"{measure.name} ({measure.note})" if measure.note else measure.name
    return told.replace("|", "\\|")


def _ratios(record: Record) -> str:
    picture = f"![Every ratio beside its bound]({chart_file('ratios')})"
    return picture if bounded_ratios(record) else ""


def _curves(record: Record) -> str:
    return "\n\n".join(_curve(record, name) for name in chart_names(record))


def _curve(record: Record, name: str) -> str:
    """Return a chart, and the same in figures: a line for each series, a column for each x."""
    points = {
        (one.point.series, one.point.x): one
        for one in record.measures
        if one.point and one.point.chart == name
    }
    across = sorted({x for _, x in points})
    unit = next(iter(points.values())).unit
    head = f"| {unit} at … {name} | {' | '.join(f'{x:,.0f}' for x in across)} |"
    lines = [head, f"|---|{'--:|' * len(across)}"]
    for series in dict.fromkeys(series for series, _ in points):
        found = [points.get((series, x)) for x in across]
        cells = [words.number(one.middle) if one else "" for one in found]
        lines.append(f"| {series} | {' | '.join(cells)} |".replace("  ", " "))
    picture = f"![{unit} by {name}]({chart_file(name)})"
    return f"#### By {name}\n\n{picture}\n\n" + "\n".join(lines)


BLOCKS: dict[str, Callable[[Record], str]] = {
    "summary": _summary,
    "runs": _runs,
    "table": _table,
    "ratios": _ratios,
    "curves": _curves,
}
