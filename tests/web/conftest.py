import asyncio
import gc

import asyncpg
import pytest
from probe import TABLES


@pytest.fixture(scope="session")
async def probe_url(database_url: str) -> str:
    """The worker's database, with the tables of the probe application."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(TABLES)
    # Well before the checks' lock_timeout, or a deadlock may be met as a lock that is held.
    name = await connection.fetchval("SELECT current_database()")
    await connection.execute(f"ALTER DATABASE {name} SET deadlock_timeout = '200ms'")
    await connection.close()
    return database_url


@pytest.fixture(autouse=True)
async def collected(caplog: pytest.LogCaptureFixture):
    """What a planted fault leaked is collected while its test may still warn of it.

    Tasks that it left behind and tracebacks in the log would keep it for a later test.
    """
    before = asyncio.all_tasks()
    yield
    if left := asyncio.all_tasks() - before - {asyncio.current_task()}:
        for task in left:
            task.cancel()
        await asyncio.wait(left)
    for phase in ("setup", "call"):
        caplog.get_records(phase).clear()
    gc.collect()
