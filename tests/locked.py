"""Who waits for the locks of a connection."""

import asyncio

import asyncpg

# pg_stat_activity would not do: inside a transaction it shows the same connections all the
# time, and whoever connected later would never be seen to wait.
WAITING = (
    "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted AND $1 = ANY(pg_blocking_pids(pid))"
)


async def waiting_for(holder: asyncpg.Connection, db: asyncpg.Connection | None = None) -> int:
    """How many connections wait for a lock of `holder` at this moment; asked by `db`, or by it."""
    return await (db or holder).fetchval(WAITING, holder.get_server_pid())


async def until_waiting(
    holder: asyncpg.Connection,
    db: asyncpg.Connection | None = None,
    *,
    somebody: bool = True,
    seconds: float = 10.0,
) -> None:
    """Return once somebody, or nobody, waits for a lock of `holder`; raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while bool(await waiting_for(holder, db)) is not somebody:
            pass
