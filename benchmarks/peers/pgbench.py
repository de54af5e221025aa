"""The limit below all handlers: pgbench with freshledger's statements, prepared, 16 clients."""

import asyncio
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from benchmarks.peers.commands import CONNECTIONS
from benchmarks.peers.statements import Statement
from freshledger.embedded.programs import tool

_RATE = re.compile(r"^tps = ([\d.]+)", re.MULTILINE)
_PLACE = re.compile(r"\$(\d+)")


async def run_pgbench(url: str, statements: Sequence[Statement], seconds: float) -> float:
    """Send the statements one after the other again and again; return how often a second."""
    script = ";\n".join(_numbered(place, one) for place, one in enumerate(statements)) + ";\n"
    values = [
        part
        for place, statement in enumerate(statements)
        for number, value in enumerate(statement.values, 1)
        for part in ("-D", f"v{place}_{number}={_written(value)}")
    ]
    with tempfile.TemporaryDirectory(prefix="freshledger-bench-") as folder:
        file = Path(folder) / "page.sql"
        file.write_text(script)
        process = await asyncio.create_subprocess_exec(
            str(tool("pgbench")), "--no-vacuum", "--protocol=prepared", f"--client={CONNECTIONS}",
            "--jobs=1", f"--time={max(1, round(seconds))}", f"--file={file}", *values, url,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, errors = (text.decode() for text in await process.communicate())
    rate = _RATE.search(output)
    if process.returncode or rate is None:
        raise click.ClickException(f"pgbench: {output}{errors}")
    return float(rate[1])


def _numbered(place: int, statement: Statement) -> str:
    """Write a statement with pgbench's variables in the places of its values."""
    return _PLACE.sub(lambda found: f":v{place}_{found[1]}", statement.text)


def _written(value: object) -> str:
    """Write a value as PostgreSQL reads it."""
    return "\\x" + value.hex() if isinstance(value, bytes) else str(value)
