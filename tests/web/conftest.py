import asyncio
import gc
import heapq

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

    Tasks that it left behind, tracebacks in the log, and the contexts of timers that were cancelled
    and stay in the loop until their time would keep it for a later test.
    """
    before = asyncio.all_tasks()
    yield
    if left := asyncio.all_tasks() - before - {asyncio.current_task()}:
        for task in left:
            task.cancel()
        await asyncio.wait(left)
    for phase in ("setup", "call"):
        caplog.get_records(phase).clear()
    _drop_cancelled_timers(asyncio.get_running_loop())
    gc.collect()


def _drop_cancelled_timers(loop: asyncio.BaseEventLoop) -> None:
    """Do what the loop does by itself once more than a hundred of them wait."""
    for timer in loop._scheduled:
        timer._scheduled = not timer.cancelled()
    loop._scheduled = [timer for timer in loop._scheduled if not timer.cancelled()]
    heapq.heapify(loop._scheduled)
    loop._timer_cancelled_count = 0
