"""backup: the whole database in one file."""

import asyncio
import os
from pathlib import Path

import click
from rich.progress import Progress, TaskID
from sqlalchemy import text

from freshledger.cli.base import command, progress
from freshledger.cli.postgres import find_program, for_libpq, outside_pools, run_program
from freshledger.errors import AppError, Conflict, Invalid
from freshledger.settings import Settings
from freshledger.startup import open_server

MAGIC = b"PGDMP"
"""How a file in pg_dump's custom format begins."""


@command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
async def backup(settings: Settings, file: Path) -> None:
    """Write everything into FILE, as of this moment, while others go on working.

    FILE is PostgreSQL's custom format; `restore` and pg_restore read it. It appears when it is
    whole. An earlier backup of that name is replaced, another file never.
    """
    async with open_server(settings) as url:
        tables = await _count_tables(url)
        unfinished = await asyncio.to_thread(_begin, file)
        try:
            await _dump(url, unfinished, tables)
            unfinished.replace(file)
        finally:
            unfinished.unlink(missing_ok=True)
    click.echo(f"wrote {file}", err=True)


def _begin(file: Path) -> Path:
    """Make the file that only we can read: it holds everybody's history."""
    if file.exists():
        with file.open("rb") as existing:
            if existing.read(len(MAGIC)) != MAGIC:
                raise Conflict(f"{file} is there already and is no backup", field="file")
    unfinished = file.with_name(f"{file.name}.part")
    os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    return unfinished


async def _count_tables(url: str) -> int:
    query = text("SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()")
    async with outside_pools(url).connect() as connection:
        count = await connection.scalar(query)
    if not count:
        raise Invalid("there is nothing to back up: this database holds no tables yet")
    return int(count)


async def _dump(url: str, file: Path, tables: int) -> None:
    address, environment = for_libpq(url)
    arguments = ("--format=custom", "--verbose", "--no-password", "--file", str(file), address)
    said: list[str] = []
    with progress() as bar:
        task = bar.add_task("backup", total=tables)

        def on_line(line: str) -> None:
            said.append(line)
            if "dumping contents of table" in line:
                _show(bar, task, line)

        program = await find_program(url, "pg_dump")
        code = await run_program(program, *arguments, environment=environment, on_line=on_line)
    if code != 0:
        raise AppError(f"the backup failed: {said[-1] if said else f'exit code {code}'}")


def _show(bar: Progress, task: TaskID, line: str) -> None:
    bar.update(task, description=line.rsplit(" ", 1)[-1].strip('"'), advance=1)
