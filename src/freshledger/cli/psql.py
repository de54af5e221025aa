"""psql: the database's own shell."""

import asyncio
import signal

import click

from freshledger.cli.base import Failure, command
from freshledger.cli.postgres import for_libpq
from freshledger.embedded import tool
from freshledger.settings import Settings
from freshledger.startup import open_server


@command("psql", context_settings={"ignore_unknown_options": True})
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
async def psql(settings: Settings, args: tuple[str, ...]) -> None:
    """Open the database in psql; ARGS are psql's own, for example -c 'SELECT 1'.

    Pages follow what is changed here as they follow every other change.
    """
    async with open_server(settings) as url:
        address, environment = for_libpq(url)
        # Ctrl-C is psql's: it cancels the query, not the session.
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, lambda: None)
        process = await asyncio.create_subprocess_exec(
            tool("psql"), *args, "--dbname", address, env=environment
        )
        try:
            code = await process.wait()
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()
    if code != 0:
        raise Failure(f"psql ended with exit code {code}")
