"""Copies of a measured ledger, for lines that write; and PostgreSQL's own shell, to write with."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import click

from benchmarks.bench import Bench
from benchmarks.data import Books
from freshledger.cli.postgres import database_name, for_libpq, with_database
from freshledger.embedded import tool

_COPY = "written"


@asynccontextmanager
async def copied(bench: Bench, books: Books) -> AsyncIterator[Books]:
    """Copy a ledger's database until the end of the block; nobody may be connected to it."""
    admin, template = bench.server.url, database_name(books.url)
    drop = f"DROP DATABASE IF EXISTS {_COPY} WITH (FORCE)"
    await psql(admin, drop)
    await psql(admin, f"CREATE DATABASE {_COPY} TEMPLATE {template} STRATEGY FILE_COPY")
    try:
        yield replace(books, url=with_database(admin, _COPY))
    finally:
        await psql(admin, drop)


async def psql(url: str, *commands: str) -> str:
    """Let psql do SQL or its own commands, one after the other; return what it printed."""
    address, environment = for_libpq(url)
    given = [part for one in commands for part in ("-c", one)]
    options = ("-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1")
    return await run(tool("psql"), *options, *given, address, environment=environment)


async def run(*command: str | Path, environment: Mapping[str, str]) -> str:
    """Run a program to its end; return what it printed, raise ClickException if it failed."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=os.environ | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said = (await process.communicate())[0].decode()
    if process.returncode:
        raise click.ClickException(f"{command[0]} failed: {said}")
    return said
