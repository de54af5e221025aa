"""Serves an app under experiment in a process of its own, by a real server.

The processes are forked from one that has imported the libraries, and end with this one.
"""

import asyncio
import errno
import logging
import os
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from freshledger.diagnosis.cause import Cause, World

PATIENCE = 30.0
"""Seconds in which a server must have begun."""

TAKEN = 10.0
"""Seconds for which a port that is named may be another's: an app's trial is done in less."""

_context = get_context("forkserver")
_context.set_forkserver_preload(["freshledger.diagnosis.preloaded"])


class DidNotStart(Exception):
    """The app or its server failed; its traceback."""


@contextmanager
def hosted(cause: Cause, world: World, *, port: int = 0) -> Iterator[str]:
    """Serve the cause's app, at a free port if none is named; yields its address."""
    ours, theirs = _context.Pipe()
    process = _context.Process(
        target=_serve,
        args=(cause.build.__module__, world, port, theirs),
        daemon=cause.server != "workers",
    )
    process.start()
    theirs.close()
    try:
        if not ours.poll(PATIENCE):
            raise DidNotStart(f"{cause.id}: no server after {PATIENCE:g} s")
        kind, said = ours.recv()
        if kind == "failed":
            raise DidNotStart(said)
        yield f"http://127.0.0.1:{said}"
    finally:
        ours.close()
        process.join(PATIENCE)
        if process.is_alive():
            process.kill()
            process.join()


def _serve(module: str, world: World, port: int, pipe: Connection) -> None:
    """Serve until the pipe is closed at its other end."""
    logging.disable(logging.WARNING)
    try:
        cause: Cause = import_module(module).CAUSE
        listening = _listen(port)
        app = cause.build(world).app
        pipe.send(("port", listening.getsockname()[1]))
        SERVERS[cause.server](app, listening, cause.size, lambda: _wait(pipe))
    except Exception:  # noqa: BLE001 - told to whoever asked for the server
        with suppress(OSError):  # who may have been killed
            pipe.send(("failed", traceback.format_exc()))


def _listen(port: int) -> socket.socket:
    """Take a port, or wait a little until whoever took one that was free for a moment is done."""
    until = time.monotonic() + TAKEN
    while True:
        try:
            return socket.create_server(("127.0.0.1", port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > until:
                raise
            time.sleep(0.1)


def _wait(pipe: Connection) -> None:
    with suppress(EOFError, OSError):
        pipe.recv()


Wait = Callable[[], None]


def _exit_after(wait: Wait) -> None:
    """End the process once `wait` returns, whatever still runs: that is the fault itself."""

    def end() -> None:
        wait()
        os._exit(0)

    threading.Thread(target=end, daemon=True).start()


def _threads(app: Any, listening: socket.socket, size: int, wait: Wait) -> None:  # noqa: ANN401 - WSGI
    from waitress.server import create_server  # noqa: PLC0415 - each server only where it serves

    _exit_after(wait)
    create_server(app, sockets=[listening], threads=size).run()


def _workers(app: Any, listening: socket.socket, size: int, wait: Wait) -> None:  # noqa: ANN401 - WSGI
    from gunicorn.app.base import BaseApplication  # noqa: PLC0415

    class Workers(BaseApplication):  # type: ignore[misc]
        """gunicorn with sync workers that are forked after the app was imported (preload)."""

        def load_config(self) -> None:
            self.cfg.set("bind", f"fd://{listening.fileno()}")
            self.cfg.set("workers", size)
            self.cfg.set("loglevel", "error")
            self.cfg.set("preload_app", True)  # noqa: FBT003 - gunicorn's signature
            self.cfg.set("control_socket_disable", True)  # noqa: FBT003 - it lies in the user's home

        def load(self) -> Any:  # noqa: ANN401 - WSGI
            return app

    parent = os.getpid()

    def end() -> None:
        wait()
        os.kill(parent, 15)

    threading.Thread(target=end, daemon=True).start()
    Workers().run()


def _hypercorn(app: Any, listening: socket.socket, _size: int, wait: Wait) -> None:  # noqa: ANN401 - ASGI
    from hypercorn.asyncio import serve  # noqa: PLC0415
    from hypercorn.config import Config  # noqa: PLC0415

    config = Config()
    config.bind = [f"fd://{listening.fileno()}"]
    config.accesslog = config.errorlog = None

    async def run() -> None:
        _exit_after(wait)
        await serve(app, config)

    asyncio.run(run())


def _uvicorn(app: Any, listening: socket.socket, _size: int, wait: Wait) -> None:  # noqa: ANN401 - ASGI
    import uvicorn  # noqa: PLC0415

    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    _exit_after(wait)
    server.run(sockets=[listening])


SERVERS: dict[str, Callable[[Any, socket.socket, int, Wait], None]] = {
    "threads": _threads,
    "workers": _workers,
    "quart": _hypercorn,
    "fastapi": _uvicorn,
}
