"""The long work of a process that serves: its tasks, and the clearing up at its start."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import text

from freshledger.database import Database
from freshledger.errors import AppError
from freshledger.imports import repository
from freshledger.imports.exports import drop_old
from freshledger.imports.files import drop_other_spools
from freshledger.imports.presence import Presence
from freshledger.imports.recovery import keep_recovering
from freshledger.settings import Settings

log = logging.getLogger(__name__)

_LEFT_OVER = text("""
DELETE FROM staged_rows s WHERE NOT EXISTS (
  SELECT FROM imports i WHERE i.ledger_id = s.ledger_id AND i.id = s.import_id
                          AND i.status IN ('reading', 'staged', 'committing'))
""")


_WAITING = text("""
SELECT options ->> 'token' FROM imports
WHERE status IN ('reading', 'staged', 'committing') AND options ->> 'token' IS NOT NULL
""")


_ABANDONED = text("""
SELECT ledger_id, id AS import_id FROM imports
WHERE status = 'staged' AND created_at < now() - interval '7 days'
ORDER BY ledger_id, id FOR UPDATE SKIP LOCKED
""")


async def drop_abandoned(database: Database) -> None:
    """Drop rows that no import waits for, and what was neither committed nor discarded for a week."""
    async with database.write.begin() as session:
        await session.execute(text("SET LOCAL statement_timeout = 0"))
        await session.execute(_LEFT_OVER)
        for found in (await session.execute(_ABANDONED)).all():
            await repository.delete_import(
                session, ledger_id=found.ledger_id, import_id=found.import_id
            )


class Tasks:
    """The long work of this process; at its end they are stopped, and leave nothing half done.

    Each holds a connection for its whole length: only `places` work at once, the others wait
    their turn, so that pages always find a connection.
    """

    def __init__(self, database: Database, places: int) -> None:
        self._places = asyncio.Semaphore(places)
        self._presence = Presence(database)
        self._running: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Any], what: str) -> asyncio.Task[Any]:
        """Begin `work` on `what` (import 7/3): its failure is logged, and others see it is alive."""
        task = asyncio.create_task(self._in_turn(work, what))
        self._running.add(task)
        task.add_done_callback(lambda done: self._ended(done, what))
        task.add_done_callback(lambda _: work.close())  # stopped before its turn came
        return task

    async def _in_turn(self, work: Coroutine[Any, Any, Any], what: str) -> Any:  # noqa: ANN401 - the work's
        async with self._presence.shown(what), self._places:
            return await work

    def _ended(self, task: asyncio.Task[Any], what: str) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            expected = isinstance(error, AppError)
            log.log(logging.INFO if expected else logging.ERROR, "%s ended: %s", what, error,
                    exc_info=None if expected else error)  # fmt: skip

    async def stop(self) -> None:
        """Cancel them all, and wait until they have put their status right."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)


@asynccontextmanager
async def running_tasks(database: Database, settings: Settings) -> AsyncIterator[Tasks]:
    """Yield the tasks of a process that serves; it also puts right what others left undone."""
    await drop_abandoned(database)
    await asyncio.to_thread(drop_old, settings)
    async with database.read() as session:
        waiting = set(await session.scalars(_WAITING))
    await asyncio.to_thread(drop_other_spools, settings, waiting)
    tasks = Tasks(database, max(1, settings.pool_size // 3))
    recovering = asyncio.create_task(keep_recovering(database))
    try:
        yield tasks
    finally:
        recovering.cancel()
        await asyncio.wait([recovering])
        await tasks.stop()
