"""What became of a transaction whose COMMIT was lost on the way.

The transaction's id says when it is over. It does not say how it ended: a server that crashed
may give an id again that never reached its disk, and then tells of another transaction. The
row that the transaction wrote says it, once it is over: it is there, or it is not.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from freshledger.database import Database, sqlstate
from freshledger.errors import Busy

PATIENCE = 15.0
"""Seconds for which the server is asked, which may be away or still at work on it."""

_PATIENCE_ONCE = 4.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 1.0


@dataclass(frozen=True, slots=True)
class Written:
    """A row of idempotency_keys that a transaction wrote at `at`."""

    user_id: int
    key: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Mark:
    """How a transaction is known again: by its id, and by a row of its own where it has one."""

    xid: int
    row: Written | None = None


async def find_outcome(database: Database, mark: Mark) -> bool | None:
    """Return whether a transaction was committed; None if nobody could tell within PATIENCE."""
    pause = _FIRST_PAUSE
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while True:
                with suppress(TimeoutError, SQLAlchemyError, Busy):  # away, or starting again
                    async with asyncio.timeout(_PATIENCE_ONCE), database.asking() as connection:
                        if await _is_over(connection, mark.xid):
                            return await _was_committed(connection, mark)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
    return None


async def _is_over(connection: AsyncConnection, xid: int) -> bool:
    return await _status(connection, xid) != "in progress"


async def _was_committed(connection: AsyncConnection, mark: Mark) -> bool | None:
    """Look after it was over: a row that is not there now will never be."""
    if mark.row is None:
        status = await _status(connection, mark.xid)
        return None if status is None else status == "committed"
    values = {"user_id": mark.row.user_id, "key": mark.row.key, "at": mark.row.at}
    found = await connection.execute(_ROW, values | {"xid": str(mark.xid % 2**32)})
    return bool(found.scalar_one())


async def _status(connection: AsyncConnection, xid: int) -> str | None:
    """Return what the server says of the id; one that it has yet to give was never committed."""
    try:
        return (await connection.execute(_STATUS, {"xid": str(xid)})).scalar_one()  # type: ignore[no-any-return]
    except DBAPIError as error:
        if sqlstate(error) == _IN_THE_FUTURE:
            return "aborted"
        raise


_IN_THE_FUTURE = "22023"
_STATUS = text("SELECT pg_xact_status(CAST(CAST(:xid AS text) AS xid8))")
_ROW = text("""
SELECT EXISTS (
  SELECT FROM idempotency_keys
  WHERE user_id = :user_id AND key = :key AND created_at = :at AND xmin::text = :xid)
""")
