"""What faults are injected into: PostgreSQL, a proxy before it, and the program's workers."""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import psutil
from sqlalchemy import make_url

from freshledger.embedded import EmbeddedServer
from freshledger.schema import upgrade
from processes import postmasters
from proof.serving import PROGRAM, TESTS, serving

WORKERS = 2
SHELL = ("/bin/sh", "-c", 'FRESHLEDGER_POOL_TIMEOUT=1 exec "$@" 2>>"$0"')
"""Starts the program with what it says in a file, and pools that can be exhausted."""

SECONDS = 60
"""How long anything that must come again may take."""


class Postgres:
    """A server with a folder of its own that can be killed, frozen, and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._servers: list[EmbeddedServer] = []

    @property
    def url(self) -> str:
        """Its own address, past the proxy."""
        return self._servers[-1].url

    async def start(self) -> None:
        """Start it, or recover it after `kill`."""
        self._servers.append(EmbeddedServer(self._folder))
        await asyncio.to_thread(self._servers[-1].start)

    async def comes_back(self) -> None:
        """Wait until it takes connections again, after a moment in which it may still."""
        await asyncio.sleep(0.1)
        async with asyncio.timeout(SECONDS):
            while True:
                with suppress(OSError, asyncpg.PostgresError):
                    async with self.connected():
                        return
                await asyncio.sleep(0.05)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all its processes, first to the one that would start others."""
        everybody = postmasters(self._folder)
        ids = {process.pid for process in everybody}
        for process in sorted(everybody, key=lambda one: _parent(one) in ids):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    async def stop(self) -> None:
        """End it at once, in whatever state it is; its folder is not needed any more."""
        self.signal(signal.SIGKILL)
        left = Path(make_url(self.url).query["host"])
        for server in self._servers:
            await asyncio.to_thread(server.stop)
        await asyncio.to_thread(shutil.rmtree, left, ignore_errors=True)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[asyncpg.Connection]:
        """Somebody in psql, past the proxy."""
        connection = await asyncpg.connect(self.url)
        try:
            yield connection
        finally:
            connection.terminate()


def _parent(process: psutil.Process) -> int:
    with suppress(psutil.NoSuchProcess):
        return process.ppid()
    return 0


class Proxying:
    """The proxy's process."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.process, self.url = process, url

    async def order(self, line: str) -> None:
        """Let it do what the line says; returns when it is done."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(line.encode() + b"\n")
        await self.process.stdin.drain()
        async with asyncio.timeout(SECONDS):
            if not await self.process.stdout.readline():
                raise AssertionError("the proxy has ended")


@asynccontextmanager
async def proxying(url: str) -> AsyncIterator[Proxying]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "proof.proxying", url,
        env={**os.environ, "PYTHONPATH": TESTS}, start_new_session=True,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout
    try:
        yield Proxying(process, (await process.stdout.readline()).decode().strip())
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@dataclass
class Stage:
    """All that runs; `address` is the program's."""

    postgres: Postgres
    proxy: Proxying
    program: psutil.Process
    address: str
    frozen: list[psutil.Process] = field(default_factory=list)

    def workers(self) -> list[psutil.Process]:
        """The program's living workers."""
        return [child for child in self.program.children() if _is_worker(child)]


def _is_worker(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess, FileNotFoundError):  # it is going at this moment
        return process.status() != psutil.STATUS_ZOMBIE and "worker" in process.cmdline()
    return False


@asynccontextmanager
async def staged(folder: Path, log: Path, *, planted: str | None) -> AsyncIterator[Stage]:
    """Start everything; with `planted` the program has that fault, and one process."""
    postgres = Postgres(folder)
    await postgres.start()
    try:
        await upgrade(postgres.url)
        command: tuple[str, ...] = (*SHELL, str(log), PROGRAM, "serve")
        options: tuple[str, ...] = ("--workers", str(WORKERS))
        if planted:
            command = (*SHELL, str(log), sys.executable, "-m", "proof.faults", planted, "serve")
            options = ()
        async with (
            proxying(postgres.url) as proxy,
            serving(proxy.url, "--data-dir", str(folder), *options, command=command) as (
                process,
                address,
            ),
        ):
            yield Stage(postgres, proxy, psutil.Process(process.pid), address)
    finally:
        await postgres.stop()
