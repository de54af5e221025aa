"""export: what a filter lets in, from a terminal or a script."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import click
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger.cli.base import command, progress
from freshledger.database import Database
from freshledger.imports import exporting
from freshledger.imports.exporting import FORMATS, Order
from freshledger.ledgers.commands import find_by_name
from freshledger.settings import Settings
from freshledger.startup import open_database
from freshledger.transactions.filters import NOT, URL_NAMES, TransactionFilter
from freshledger.transactions.periods import Clock

NAMED = ("wallet", "contact", "label")
"""Filters that take a name here and an id in addresses."""


def _filter_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command an option for every filter of the page, and one for its exclusion."""
    for name in reversed(URL_NAMES):
        option = name.replace("_", "-")
        wanted = f"Only with this {option}; several times for more."
        for mark, hint in ((NOT, f"Not with this {option}."), ("", wanted)):
            text = f"--{'not-' if mark else ''}{option}"
            variable = f"filter_{mark}{name}".replace(".", "_")
            function = click.option(text, variable, multiple=True, help=hint)(function)
    return function


@command("export")
@click.option("--ledger", required=True, metavar="NAME", help="The ledger's name, or its id.")
@click.option(
    "--format", "format_", required=True, type=click.Choice(list(FORMATS)), help="What to write."
)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Else standard output."
)
@click.option("--timezone", default="UTC", show_default=True, help="The zone of --from and --to.")
@_filter_options
async def export(
    settings: Settings, *, ledger: str, format_: str, out: Path | None, timezone: str,
    **options: tuple[str, ...],
) -> None:  # fmt: skip
    """Write the transactions that the filter lets in, or with bip329 their labels.

    All of them are of one moment; its version is told on standard error. The file appears
    when it is whole.
    """
    async with open_database(settings) as database:
        async with database.read() as session:
            ledger_id = await find_by_name(session, ledger=ledger)
            where = await _filter(session, ledger_id, options)
        order = Order(ledger_id, format_, where, Clock.of(timezone))
        if out is None:
            with TemporaryFile() as spool:
                version = await _write(database, order, spool)
                spool.seek(0)
                shutil.copyfileobj(spool, sys.stdout.buffer)
                sys.stdout.buffer.flush()
        else:
            version = await _write_file(database, order, out)
    click.echo(f"{ledger} at version {version}", err=True)


async def _write_file(database: Database, order: Order, out: Path) -> int:
    unfinished = out.with_name(f"{out.name}.part")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            version = await _write(database, order, stream)
        unfinished.replace(out)
    finally:
        unfinished.unlink(missing_ok=True)
    return version


async def _write(database: Database, order: Order, stream: IO[bytes]) -> int:
    async with database.read() as session:
        await exporting.begin_snapshot(session)
        version = await exporting.get_version(session, ledger_id=order.ledger_id)
        total = await exporting.count_rows(session, order)
        with progress() as bar:
            task = bar.add_task("exporting", total=total)
            async for done in exporting.write_parts(session, order, stream=stream):
                bar.update(task, completed=done)
    return version


async def _filter(
    session: AsyncSession, ledger_id: int, options: dict[str, tuple[str, ...]]
) -> TransactionFilter:
    """Read the options as the page's query, names of wallets and so on as their ids."""
    pairs = []
    for name in URL_NAMES:
        for mark in ("", NOT):
            values = options[f"filter_{mark}{name}".replace(".", "_")]
            if name in NAMED:
                values = await exporting.find_ids(
                    session, ledger_id=ledger_id, kind=name, names=values
                )
            pairs += [(mark + name, value) for value in values]
    return TransactionFilter.from_args(pairs)
