"""serve --workers: processes of one event loop each, on one socket, watched by their parent.

Parent and worker hold the two ends of a socket, which is the worker's standard input. The worker
says on it that it serves; when it closes, the parent is gone, and the worker ends too.
"""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any

import click
import uvloop
from hypercorn.utils import LifespanFailureError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger.app import create_app
from freshledger.cli.base import command
from freshledger.cli.listening import serve_until
from freshledger.errors import AppError, Invalid
from freshledger.settings import PREFIX, Settings

STOP_SECONDS = 5
"""How long workers may take to end; after that they are killed."""
LONGEST_DELAY = 2.0
"""Seconds between two tries to start a worker that dies before it serves."""
HOPELESS = 3
"""Tries of one worker after which the parent gives up, if none has ever served."""

BESIDES_POOLS, OTHERS = 3, 10
"""Connections of a worker beside its two pools, and those left to commands and to psql."""

_SERVES = b"serves\n"
_PROGRAM = (sys.executable, "-c", "from freshledger.cli import main; main()", "worker")

_ROOM = text("""
SELECT current_setting('max_connections')::int
     - current_setting('superuser_reserved_connections')::int
     - coalesce(current_setting('reserved_connections', true)::int, 0)
""")


async def check_room(session: AsyncSession, *, workers: int, pool_size: int) -> None:
    """Raise Invalid if the database's max_connections do not suffice for that many workers."""
    room = (await session.execute(_ROOM)).scalar_one() - OTHERS
    each = 2 * pool_size + BESIDES_POOLS
    if workers * each > room:
        raise Invalid(
            f"--workers {workers} need {workers * each} connections ({PREFIX}POOL_SIZE is"
            f" {pool_size}) and the database has {max(0, room)} for them: at most"
            f" {max(0, room // each)} workers, a smaller {PREFIX}POOL_SIZE, or more max_connections"
        )


class Crew:
    """The workers of one socket; `serve` keeps so many of them alive until `stopping` is set."""

    def __init__(
        self, listener: socket.socket, settings: Settings, *, stopping: asyncio.Event
    ) -> None:
        self._listener = listener
        self._stopping = stopping
        self._processes: set[Process] = set()
        self._awaited: set[int] = set()
        self._came_up: set[int] = set()
        self._hopeless = False
        self._environment = os.environ | {
            f"{PREFIX}DATABASE_URL": settings.database_url or "",
            f"{PREFIX}DATA_DIR": str(settings.data_dir),
        }

    async def serve(self, workers: int, *, when_ready: Callable[[], None]) -> None:
        """Keep workers alive; `when_ready` is called once, when all of them accept.

        Raises AppError if none ever came up.
        """
        self._awaited = set(range(1, workers + 1))
        async with asyncio.TaskGroup() as group:
            for place in sorted(self._awaited):
                group.create_task(self._keep(place, when_ready))
            group.create_task(self._end())
        if self._hopeless:
            raise AppError("no worker came up; the reason is above")

    async def _keep(self, place: int, when_ready: Callable[[], None]) -> None:
        failures = 0
        while not self._stopping.is_set():
            served, how = await self._run(place, when_ready)
            if self._stopping.is_set():
                return
            failures = 0 if served else failures + 1
            if failures >= HOPELESS and not self._came_up:
                self._hopeless = True
                self._stopping.set()
                return
            delay = min(LONGEST_DELAY, 0.25 * 2**failures) if failures else 0
            after = f" in {delay:g} s" if delay else ""
            before = "" if served else " before it served"
            click.echo(f"worker {place} {how}{before}; it is started again{after}", err=True)
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._stopping.wait()

    async def _run(self, place: int, when_ready: Callable[[], None]) -> tuple[bool, str]:
        """Run a worker to its end; return whether it came to serve, and how it ended."""
        ours, theirs = socket.socketpair()
        with ours:
            try:
                process = await self._start(theirs)
            except OSError as error:
                return False, f"could not be started ({error.strerror})"
            self._processes.add(process)
            if self._stopping.is_set():
                self._signal(signal.SIGTERM)
            try:
                ours.settimeout(0)
                said = await asyncio.get_running_loop().sock_recv(ours, len(_SERVES))
                if served := said == _SERVES:
                    self._up(place, process.pid, when_ready)
                return served, _ending(await process.wait())
            finally:
                self._processes.discard(process)

    async def _start(self, theirs: socket.socket) -> Process:
        with theirs:
            return await asyncio.create_subprocess_exec(
                *_PROGRAM,
                str(self._listener.fileno()),
                stdin=theirs.fileno(),
                pass_fds=(self._listener.fileno(),),
                env=self._environment,
                start_new_session=True,  # Ctrl-C is told to the parent alone, which tells them
            )

    def _up(self, place: int, pid: int, when_ready: Callable[[], None]) -> None:
        if place in self._came_up:
            click.echo(f"worker {place} serves again (process {pid})", err=True)
        self._came_up.add(place)
        if self._awaited and self._came_up >= self._awaited:
            self._awaited = set()
            when_ready()

    async def _end(self) -> None:
        await self._stopping.wait()
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await asyncio.gather(*(process.wait() for process in self._processes))
        except TimeoutError:
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        for process in self._processes:
            with suppress(ProcessLookupError):  # it has just ended
                process.send_signal(number)


def _ending(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with code {code}"


@command("worker", hidden=True)
@click.argument("descriptor", type=int)
def worker(settings: Settings, descriptor: int) -> None:
    """Serve as one of several processes, on a socket that is open already."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve_as_worker(settings, descriptor))


async def serve_as_worker(settings: Settings, descriptor: int) -> None:
    """Serve until SIGTERM or the parent's end; raises AppError if it cannot begin."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    parent = socket.socket(fileno=sys.stdin.fileno())
    parent.settimeout(0)
    app = create_app(settings)

    @app.while_serving
    async def tell() -> AsyncGenerator[None, Any]:
        await loop.sock_sendall(parent, _SERVES)
        yield

    async def watch() -> None:
        with suppress(OSError):
            await loop.sock_recv(parent, 1)
        stopping.set()

    watching = asyncio.create_task(watch())
    try:
        await serve_until(stopping, app, descriptor)
    except LifespanFailureError as error:
        raise AppError(str(error)) from error
    finally:
        watching.cancel()
