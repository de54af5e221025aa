"""Servers under measurement: each a process of its own with one worker, on a free port."""

import asyncio
import os
import re
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import psutil

from freshledger.settings import PREFIX

ROOT = Path(__file__).parents[1]
STARTING = 60
_ADDRESS = re.compile(rb"serves on (http://[\d.:]+)")


@dataclass(frozen=True, slots=True)
class Served:
    """A server that answers: its address, and its process."""

    address: str
    process: psutil.Process

    def cpu_seconds(self) -> float:
        """Return the CPU time that the process and its children have had so far."""
        times = (one.cpu_times() for one in (self.process, *self.process.children(recursive=True)))
        return sum(one.user + one.system for one in times)


def free_port() -> int:
    """Return a port that nobody listens on at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@asynccontextmanager
async def freshledger(
    url: str | None, *, workers: int = 1, data_dir: Path | None = None, **settings: float
) -> AsyncIterator[Served]:
    """Serve freshledger as its users do, on the database at `url`, or that in its data folder.

    `settings` are numbers of freshledger's own Settings that are not as they come.
    """
    command = [str(Path(sys.executable).with_name("freshledger")), "serve", "--port", "0"]
    if workers > 1:
        command += ["--workers", str(workers)]
    environment = {"FRESHLEDGER_DATABASE_URL": url or ""}
    if data_dir:
        environment["FRESHLEDGER_DATA_DIR"] = str(data_dir)
    environment |= {PREFIX + name.upper(): str(value) for name, value in settings.items()}
    async with _running(command, environment, stdout=asyncio.subprocess.PIPE) as process:
        async with asyncio.timeout(STARTING):
            address = await _announced(process)
        yield Served(address, psutil.Process(process.pid))


@asynccontextmanager
async def serving(
    command: Sequence[str], environment: Mapping[str, str], *, port: int
) -> AsyncIterator[Served]:
    """Serve with another program's command, until the end of the block."""
    async with _running(command, environment, stdout=asyncio.subprocess.DEVNULL) as process:
        async with asyncio.timeout(STARTING):
            await _answers(process, port)
        yield Served(f"http://127.0.0.1:{port}", psutil.Process(process.pid))


@asynccontextmanager
async def _running(
    command: Sequence[str], environment: Mapping[str, str], *, stdout: int
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env=os.environ | environment, stdout=stdout
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _announced(process: asyncio.subprocess.Process) -> str:
    if process.stdout is None:
        raise TypeError("its output is not piped")
    async for line in process.stdout:
        if found := _ADDRESS.search(line):
            return found[1].decode()
    raise click.ClickException(f"the server ended with {await process.wait()}")


async def _answers(process: asyncio.subprocess.Process, port: int) -> None:
    while process.returncode is None:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise click.ClickException(f"the server ended with {process.returncode}")
