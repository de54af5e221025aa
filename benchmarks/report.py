"""The table in the terminal, the JSON, and the charts."""

from pathlib import Path

import click

from benchmarks.measures import Measure


def say(text: str) -> None:
    """Tell what is going on, apart from the table."""
    click.echo(text, err=True)


def show(found: list[Measure], *, json_file: Path | None, docs: Path | None, smoke: bool) -> None:
    """Print what was found."""
    click.echo((json_file, docs, smoke))
    for measure in found:
        click.echo(f"{measure.line:4}{measure.name:60}{measure.middle:12.2f} {measure.unit}")
