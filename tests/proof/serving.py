"""The program under test in a process of its own, on a database that is there."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

PROGRAM = str(Path(sys.executable).with_name("freshledger"))
TESTS = str(Path(__file__).parents[1])
ENDS = 20
"""Seconds in which a server has to end after SIGTERM."""


@asynccontextmanager
async def serving(
    database: str, *arguments: str, command: tuple[str, ...] = (PROGRAM, "serve")
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Yield `freshledger serve` on that database and the address that it printed."""
    process = await asyncio.create_subprocess_exec(
        *command, "--port", "0", *arguments,
        env={**os.environ, "FRESHLEDGER_DATABASE_URL": database, "PYTHONPATH": TESTS},
        stdout=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert process.stdout
    try:
        said = (await process.stdout.readline()).decode()
        address = re.search(r"http://[\w.:\[\]]+", said)
        if not address:
            raise AssertionError(f"the server printed no address: {said!r}")
        yield process, address[0]
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(ENDS):
            await process.wait()
    except TimeoutError:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        raise AssertionError(f"the server did not end {ENDS} s after SIGTERM") from None
