"""Opens the database: the server of the settings, or the embedded one, migrated."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from freshledger.database import Database
from freshledger.embedded import EmbeddedServer
from freshledger.schema import upgrade
from freshledger.settings import Settings


@asynccontextmanager
async def open_server(settings: Settings) -> AsyncIterator[str]:
    """Yield the URL of the settings' server; the embedded one runs until the end of the block."""
    if settings.database_url:
        yield settings.database_url
        return
    server = EmbeddedServer(settings.data_dir)
    try:
        await asyncio.to_thread(server.start)
        yield server.url
    finally:
        await asyncio.to_thread(server.stop)


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """Yield the migrated database; its connections are closed at the end of the block."""
    async with open_server(settings) as url:
        await upgrade(url)
        database = Database(settings, url)
        try:
            yield database
        finally:
            await database.dispose()
