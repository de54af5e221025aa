"""Work that is asked for often and done once: however many ask while it runs, it runs once more."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import asyncpg
from sqlalchemy.exc import SQLAlchemyError

from freshledger.errors import AppError

log = logging.getLogger(__name__)

AWAY = (
    AppError, SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError,
)  # fmt: skip
"""What reading raises while the database is away or busy; it is read again at the next tick."""


class Errand:
    """Runs `work` in a task, one run at a time; whoever asks is sure of a run that begins later."""

    def __init__(self, work: Callable[[], Awaitable[None]], what: str) -> None:
        self._work = work
        self._what = what
        self._asked = False
        self._task: asyncio.Task[None] | None = None

    def ask(self) -> None:
        """Ask for a run that begins from now on."""
        self._asked = True
        if self._task is None:
            self._task = asyncio.create_task(self._run())
            self._task.add_done_callback(self._ended)

    async def _run(self) -> None:
        while self._asked:
            self._asked = False
            await self._work()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Tell why it failed; it is asked again when versions are compared next."""
        self._task = None
        if not task.cancelled() and (error := task.exception()) is not None:
            expected = isinstance(error, AWAY)
            log.log(logging.WARNING if expected else logging.ERROR, "%s: %s", self._what, str(error) or type(error).__name__,
                    exc_info=None if expected else error)  # fmt: skip
        elif self._asked and not task.cancelled():
            self.ask()

    async def stop(self) -> None:
        """End the run, if there is one."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
