"""restore: a backup takes the database's place, whole or not at all."""

import asyncio
from pathlib import Path

import click
from alembic.util import CommandError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from freshledger.cli.base import command, confirm, progress
from freshledger.cli.postgres import (
    database_name,
    find_program,
    for_libpq,
    outside_pools,
    run_program,
    with_database,
)
from freshledger.database import sqlstate
from freshledger.embedded import tool
from freshledger.errors import AppError, Busy, Invalid
from freshledger.schema import upgrade
from freshledger.settings import Settings
from freshledger.startup import open_server

MAINTENANCE = "postgres"
ATTEMPTS = 5
OBJECT_IN_USE = "55006"

# Servers before 17 do not know this setting, which newer programs set; it changes nothing.
HARMLESS = "transaction_timeout"


@command("restore")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--yes", is_flag=True, help="Do not ask.")
async def restore(settings: Settings, file: Path, *, yes: bool) -> None:
    """Replace everything by what `backup` wrote into FILE.

    It is first read whole into a database beside the present one; if anything is wrong with
    it, nothing changes. A running server goes on with the restored data.
    """
    tables = await _read_contents(file)
    confirm(f"Replace everything by {file}?", yes=yes)
    async with open_server(settings) as url:
        name = database_name(url)
        restored, replaced = f"{name}_restored", f"{name}_replaced"
        try:
            await _recreate(url, restored, drop_too=replaced)
            await _fill(with_database(url, restored), file, tables)
            await _swap(url, (name, restored, replaced))
        finally:
            await _drop(url, restored, replaced)
    click.echo(f"restored {file}", err=True)


async def _read_contents(file: Path) -> int:
    """Return the number of tables in the backup; raises Invalid if it is none of ours."""
    lines: list[str] = []
    code = await run_program(tool("pg_restore"), "--list", str(file), on_line=lines.append)
    if code != 0:
        raise Invalid(f"{file} is not a backup, or it is damaged", field="file")
    if not any(" TABLE DATA public ledgers " in f" {line} " for line in lines):
        raise Invalid(f"{file} is a backup of another program's database", field="file")
    return sum(" TABLE DATA " in line for line in lines)


def quoted(name: str) -> str:
    """Return a name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


async def _recreate(url: str, restored: str, *, drop_too: str) -> None:
    """Make the empty database; what an earlier, killed restore left is dropped."""
    await _drop(url, restored, drop_too)
    engine = outside_pools(with_database(url, MAINTENANCE), autocommit=True)
    async with engine.connect() as connection:
        await connection.execute(
            text(f"CREATE DATABASE {quoted(restored)} TEMPLATE template0 ENCODING 'UTF8'")
        )


async def _drop(url: str, *names: str) -> None:
    engine = outside_pools(with_database(url, MAINTENANCE), autocommit=True)
    async with engine.connect() as connection:
        for name in names:
            await connection.execute(text(f"DROP DATABASE IF EXISTS {quoted(name)} WITH (FORCE)"))


async def _fill(url: str, file: Path, tables: int) -> None:
    """Load the backup, bring it to this version, and give every ledger its new epoch."""
    await _load(url, file, tables)
    try:
        await upgrade(url)
    except CommandError as error:
        raise Invalid(f"{file} was made by a newer version of freshledger") from error
    async with outside_pools(url).begin() as connection:
        await connection.execute(text("UPDATE ledgers SET epoch = gen_random_uuid()"))


async def _load(url: str, file: Path, tables: int) -> None:
    address, environment = for_libpq(url)
    options = ("--verbose", "--no-owner", "--no-privileges", "--no-password")
    errors: list[str] = []
    with progress() as bar:
        task = bar.add_task("restore", total=tables)

        def on_line(line: str) -> None:
            if "error:" in line and HARMLESS not in line:
                errors.append(line)
            if "processing data for table" in line:
                bar.update(task, description=line.rsplit(" ", 1)[-1].strip('"'), advance=1)

        program = await find_program(url, "pg_restore")
        arguments = (*options, "--dbname", address, str(file))
        await run_program(program, *arguments, environment=environment, on_line=on_line)
    if errors:
        raise AppError(f"{file} could not be restored, nothing was changed: {errors[0]}")


async def _swap(url: str, names: tuple[str, str, str]) -> None:
    """Give the databases their new names, in one transaction, once nobody is connected."""
    name, restored, replaced = names
    engine = outside_pools(with_database(url, MAINTENANCE))
    for _ in range(ATTEMPTS):
        try:
            async with engine.begin() as connection:
                await connection.execute(DISCONNECT, {"names": [name, restored]})
                for old, new in ((name, replaced), (restored, name)):
                    await connection.execute(
                        text(f"ALTER DATABASE {quoted(old)} RENAME TO {quoted(new)}")
                    )
        except DBAPIError as error:
            if sqlstate(error) != OBJECT_IN_USE:
                raise
            await asyncio.sleep(0)
        else:
            return
    raise Busy("other programs keep the database busy: stop them and try again; nothing changed")


DISCONNECT = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = ANY(:names) AND pid <> pg_backend_pid() AND usename = current_user"
)
