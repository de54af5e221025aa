"""Runs PostgreSQL's own programs against the right database."""

import asyncio
import os
import shutil
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import Callable, Mapping
from pathlib import Path

from sqlalchemy import URL, NullPool, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine

from freshledger.database import async_url, create_engine
from freshledger.embedded import BUNDLED_MAJOR, tool
from freshledger.errors import AppError, Invalid

LONGEST_LINE = 16 * 1024**2


def for_libpq(url: str) -> tuple[str, dict[str, str]]:
    """Return the address as PostgreSQL's programs read it, and an environment with the password.

    Among the arguments other users of the machine could read the password. Raises Invalid if
    the address is not PostgreSQL's.
    """
    parsed = async_url(url)
    query = {"sslmode" if name == "ssl" else name: value for name, value in parsed.query.items()}
    plain = URL.create(
        "postgresql",
        username=parsed.username,
        host=parsed.host,
        port=parsed.port,
        database=parsed.database,
        query=query,
    )
    password = {"PGPASSWORD": str(parsed.password)} if parsed.password is not None else {}
    return plain.render_as_string(), {**os.environ, **password}


def database_name(url: str) -> str:
    """Return the name of the database that the address names."""
    if name := make_url(url).database:
        return name
    raise Invalid("FRESHLEDGER_DATABASE_URL names no database: let it end with /name")


def with_database(url: str, name: str) -> str:
    """Return the address of another database of the same server."""
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def outside_pools(url: str, *, autocommit: bool = False) -> AsyncEngine:
    """Make an engine whose connections close at once, for work on whole databases."""
    level = "AUTOCOMMIT" if autocommit else "READ COMMITTED"
    return create_engine(url, poolclass=NullPool, isolation_level=level)


async def find_program(url: str, name: str) -> Path:
    """Return the bundled program, or for a newer server the one on PATH, which may know it."""
    async with outside_pools(url).connect() as connection:
        number = await connection.scalar(text("SHOW server_version_num"))
    major = int(number or 0) // 10_000
    if major <= BUNDLED_MAJOR:
        return tool(name)
    if found := shutil.which(name):
        return Path(found)
    raise AppError(f"the server is PostgreSQL {major}: install its {name}, so that it is on PATH")


async def run_program(
    program: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    on_line: Callable[[str], None],
) -> int:
    """Run it to its end, handing over each line it says; return its exit code.

    It is killed if we are interrupted.
    """
    process = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
        env=environment,
        limit=LONGEST_LINE,
        start_new_session=True,
    )
    try:
        if process.stdout is not None:
            async for line in process.stdout:
                on_line(line.decode(errors="replace").rstrip())
        return await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
