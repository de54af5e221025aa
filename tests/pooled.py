"""Whether connections are in use."""

import asyncio

from freshledger.database import Database


async def until_free(database: Database, seconds: float = 10.0) -> None:
    """Return once no connection is in use; raises TimeoutError where one stays so.

    What the program does beside its requests takes one for a moment: it notes a token's use, and
    looks every few seconds for work that was left.
    """
    async with asyncio.timeout(seconds):
        while database.checked_out:  # noqa: ASYNC110 - a pool tells nobody
            await asyncio.sleep(0)
