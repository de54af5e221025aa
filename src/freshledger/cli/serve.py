"""serve: the pages and the API, until Ctrl-C or SIGTERM."""

import asyncio
import signal
from collections.abc import AsyncGenerator, Callable, Coroutine
from functools import partial
from typing import Any

import click
import uvloop
from msgspec.structs import replace

from freshledger.accounts.commands import setup_link
from freshledger.app import Freshledger, create_app
from freshledger.cli.base import command
from freshledger.cli.listening import address_of, listen, serve_until
from freshledger.cli.workers import Crew, check_room
from freshledger.settings import Settings
from freshledger.startup import open_database


def address_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options --host and --port."""
    host = click.option("--host", help="The address to listen on.  [default: 127.0.0.1]")
    port = click.option(
        "--port", type=click.IntRange(0, 65535), help="[default: 8000]; 0 takes a free one."
    )
    return host(port(function))


@command("serve")
@address_options
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes that serve; one that dies is started again, alone.",
)
def serve(settings: Settings, host: str | None, port: int | None, workers: int) -> None:
    """Serve the pages and the API on http://127.0.0.1:8000.

    The embedded PostgreSQL starts and stops with it, unless FRESHLEDGER_DATABASE_URL names a
    server of your own.
    """
    server = serve_until_stopped if workers == 1 else partial(serve_with, workers=workers)
    run_server(server, settings, host=host, port=port)


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
    with listen(settings) as listener:
        address = address_of(listener)
        async with open_database(settings) as database:
            async with database.write.begin() as session:
                link = await setup_link(session, address)
            app = create_app(replace(settings, database_url=database.url))
            _announce_when_ready(app, address, link)
            await serve_until(_stopped_by_signals(), app, listener.detach())


async def serve_with(settings: Settings, *, workers: int) -> None:
    """Serve with several processes until Ctrl-C, SIGTERM or SIGHUP.

    Raises AppError if the port is taken, the database lets too few in, or no worker comes up.
    """
    with listen(settings) as listener:
        address = address_of(listener)
        async with open_database(settings) as database:
            async with database.write.begin() as session:
                await check_room(session, workers=workers, pool_size=settings.pool_size)
                link = await setup_link(session, address)
            await database.dispose()  # from here on the connections are the workers'
            settings = replace(settings, database_url=database.url)
            crew = Crew(listener, settings, stopping=_stopped_by_signals())
            await crew.serve(workers, when_ready=lambda: _announce(address, link))


def _stopped_by_signals() -> asyncio.Event:
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    return stopping


def _announce(address: str, link: str | None) -> None:
    click.echo(f"freshledger serves on {address} (Ctrl-C ends it)")
    if link:
        click.echo(f"Make the first account here: {link}")


def _announce_when_ready(app: Freshledger, address: str, link: str | None) -> None:
    @app.while_serving
    async def announce() -> AsyncGenerator[None, Any]:
        _announce(address, link)
        yield
