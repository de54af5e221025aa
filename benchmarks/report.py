"""The table in the terminal, and everything else that a record is told by."""

import sys
import time
from itertools import groupby
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks import record as records
from benchmarks import words
from benchmarks.measures import Measure
from benchmarks.record import Record

WIDTH = 110
"""Columns of a line where the output is no terminal."""

_BEGIN = time.monotonic()


def say(text: str) -> None:
    """Tell what is going on, apart from the table, with the minutes since the start."""
    minutes, seconds = divmod(int(time.monotonic() - _BEGIN), 60)
    click.echo(f"{minutes:3}:{seconds:02} {text}", err=True)


def show(record: Record, *, json_file: Path | None, docs: Path | None) -> None:
    """Print what was found, and write it where it is wanted."""
    terminal = sys.stdout.isatty()
    console = Console(width=None if terminal else WIDTH, highlight=False, emoji=False)
    measures = [one for one in record.measures if one.point is None]
    console.print(make_table(measures, judged=not record.smoke))
    if points := len(record.measures) - len(measures):
        console.print(f"{points} points of curves: see --json, --docs", style="dim")
    small = "A smoke run shows that all of it works; its figures mean nothing."
    console.print(small if record.smoke else words.summary(measures), markup=False)
    if json_file:
        records.write(record, json_file)
    if docs:
        from benchmarks import documents  # noqa: PLC0415 - charts need what only `make bench` has

        documents.write(record, docs)


def make_table(measures: list[Measure], *, judged: bool) -> Table:
    """Return the table for a terminal, by rows of the work; `judged` says if bounds count."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("line", no_wrap=True)
    table.add_column("what", ratio=1)
    for heading in ("median", "spread", "bound"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("reached", no_wrap=True)
    for line, found in groupby(measures, key=lambda one: one.line):
        table.add_row()
        table.add_row(f"[bold]{escape(line)}[/]", f"[bold]{escape(words.WORK.get(line, ''))}[/]")
        for one in found:
            table.add_row("", _what(one), words.middle(one), words.spread(one), words.bound(one),
                          _reached(one) if judged else "",
                          style="dim" if one.reached is None else "")  # fmt: skip
    return table


def _what(measure: Measure) -> str:
    note = f"\n[dim]{escape(measure.note)}[/]" if measure.note else ""
    return f"{escape(measure.name)}{note}"


def _reached(measure: Measure) -> str:
    style = {True: "green", False: "bold red", None: ""}[measure.reached]
    return f"[{style}]{words.reached(measure)}[/]" if style else ""
