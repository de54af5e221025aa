"""serve: the pages and the API, until Ctrl-C or SIGTERM."""

import asyncio
import signal
import socket
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

import click
import uvloop
from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config
from msgspec.structs import replace

from freshledger.accounts.commands import setup_link
from freshledger.app import Freshledger, create_app
from freshledger.cli.base import command
from freshledger.errors import AppError
from freshledger.settings import Settings
from freshledger.startup import open_database

BACKLOG = 2048
KEEP_ALIVE_SECONDS = 75
GRACEFUL_SECONDS = 3
PATIENCE_SECONDS = 10
STALLED_CLIENT_MILLISECONDS = 5000
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - shown, not listened on


def address_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options --host and --port."""
    host = click.option("--host", help="The address to listen on.  [default: 127.0.0.1]")
    port = click.option(
        "--port", type=click.IntRange(0, 65535), help="[default: 8000]; 0 takes a free one."
    )
    return host(port(function))


@command("serve")
@address_options
def serve(settings: Settings, host: str | None, port: int | None) -> None:
    """Serve the pages and the API on http://127.0.0.1:8000.

    The embedded PostgreSQL starts and stops with it, unless FRESHLEDGER_DATABASE_URL names a
    server of your own.
    """
    run_server(serve_until_stopped, settings, host=host, port=port)


def run_server(
    server: Callable[[Settings], Coroutine[Any, Any, None]],
    settings: Settings,
    *,
    host: str | None,
    port: int | None,
) -> None:
    """Run `server` on uvloop; host and port win over the settings where they are given."""
    changes = {"host": host, "port": port}
    given = {name: value for name, value in changes.items() if value is not None}
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server(replace(settings, **given)))


async def serve_until_stopped(settings: Settings) -> None:
    """Serve until Ctrl-C, SIGTERM or SIGHUP; raises AppError if the port is taken."""
    stopping = asyncio.Event()
    with _listen(settings) as listener:
        address = _address(listener)
        async with open_database(settings) as database:
            async with database.write.begin() as session:
                link = await setup_link(session, address)
            app = create_app(replace(settings, database_url=database.url))
            _announce_when_ready(app, address, link)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                asyncio.get_running_loop().add_signal_handler(number, stopping.set)
            await _until(stopping, app, _hypercorn_config(listener))


async def _until(stopping: asyncio.Event, app: Freshledger, config: Config) -> None:
    """Serve until the event; then streams end by themselves, and the rest is cut after a while."""

    async def trigger() -> None:
        await stopping.wait()
        app.shutdown_event.set()

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


def _listen(settings: Settings) -> socket.socket:
    """Open the port before anything else is done; a stopped client holds a stream for seconds."""
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
    except OSError as error:
        listener.close()
        place = f"{settings.host}:{settings.port}"
        raise AppError(f"cannot serve on {place}: {error.strerror}; try --port") from error
    return listener


def _address(listener: socket.socket) -> str:
    """Return what a browser on this machine opens."""
    host, port = listener.getsockname()[:2]
    host = LOOPBACK.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _hypercorn_config(listener: socket.socket) -> Config:
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.backlog = BACKLOG
    config.keep_alive_timeout = KEEP_ALIVE_SECONDS
    config.graceful_timeout = GRACEFUL_SECONDS
    config.loglevel = "WARNING"
    config.include_server_header = False
    return config


def _announce_when_ready(app: Freshledger, address: str, link: str | None) -> None:
    @app.while_serving
    async def announce() -> AsyncGenerator[None, Any]:
        click.echo(f"freshledger serves on {address} (Ctrl-C ends it)")
        if link:
            click.echo(f"Make the first account here: {link}")
        yield
