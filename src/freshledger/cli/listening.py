"""What every process that serves does: its socket, its server, and how both end."""

import asyncio
import gc
import socket

from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config

from freshledger.app import Freshledger
from freshledger.errors import AppError
from freshledger.settings import Settings

BACKLOG = 2048
KEEP_ALIVE_SECONDS = 75
GRACEFUL_SECONDS = 3
PATIENCE_SECONDS = 10
STALLED_CLIENT_MILLISECONDS = 5000
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - shown, not listened on


def listen(settings: Settings) -> socket.socket:
    """Open the port before anything else is done; a stopped client holds a stream for seconds.

    Raises AppError if the port is taken.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(
            socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STALLED_CLIENT_MILLISECONDS
        )
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(BACKLOG)  # clients wait from now on, also while all workers start again
    except OSError as error:
        listener.close()
        place = f"{settings.host}:{settings.port}"
        raise AppError(f"cannot serve on {place}: {error.strerror}; try --port") from error
    return listener


def address_of(listener: socket.socket) -> str:
    """Return what a browser on this machine opens."""
    host, port = listener.getsockname()[:2]
    host = LOOPBACK.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


async def serve_until(stopping: asyncio.Event, app: Freshledger, descriptor: int) -> None:
    """Serve on an open socket until the event; then streams end, and the rest is cut after a while."""

    async def trigger() -> None:
        await stopping.wait()
        app.shutdown_event.set()

    _keep_what_is_there()
    config = hypercorn_config(descriptor)
    serving = asyncio.create_task(hypercorn_serve(app, config, shutdown_trigger=trigger))
    waiting = asyncio.create_task(stopping.wait())
    await asyncio.wait((serving, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    done, _ = await asyncio.wait((serving,), timeout=PATIENCE_SECONDS)
    if serving not in done:
        serving.cancel()
        await asyncio.wait((serving,), timeout=1)
        return
    await serving


def _keep_what_is_there() -> None:
    """Take the program itself, which never becomes garbage, out of every later collection.

    Looking through it took a quarter of a second, in which no request and no stream went on.
    """
    gc.collect()
    gc.freeze()


def hypercorn_config(descriptor: int) -> Config:
    """Return the server's settings for a socket that is open already."""
    config = Config()
    config.bind = [f"fd://{descriptor}"]
    config.backlog = BACKLOG
    config.keep_alive_timeout = KEEP_ALIVE_SECONDS
    config.graceful_timeout = GRACEFUL_SECONDS
    config.loglevel = "WARNING"
    config.include_server_header = False
    return config
