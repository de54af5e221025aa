"""The long work on an import: claimed, shown to everybody, cancelled, and never half done.

An import's status is the only thing two processes tell each other: it is claimed in a
transaction of its own, then worked on in one transaction that ends by setting the next status.
Whoever cancels sets another status meanwhile; then there is nothing to move on, and all is
rolled back. The transaction holds an advisory lock, so that a start after a crash sees that
nobody is at work.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger.database import Database, is_lost, is_retryable, refusal
from freshledger.errors import AppError, Conflict
from freshledger.imports import repository
from freshledger.imports.committing import Key, delete_staged

TRIES = 3

T = TypeVar("T")


class Cancelled(AppError):
    """Somebody cancelled the import; the ledger is as it was before."""

    code = "cancelled"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of work: the status of an import meanwhile, and what it is when it did not end.

    `stopped` is its status after the program was stopped, `failed` after an error; `verb` says
    what the program did.
    """

    status: str
    stopped: str
    failed: str
    verb: str


READING = Kind("reading", stopped="failed", failed="failed", verb="read")
COMMITTING = Kind("committing", stopped="staged", failed="failed", verb="committed")
TAKING_BACK = Kind("taking_back", stopped="done", failed="done", verb="took it back")

WORKING = tuple(kind.status for kind in (READING, COMMITTING, TAKING_BACK))
"""What an import's status is while somebody works on it."""


async def run(
    database: Database, key: Key, kind: Kind, job: Callable[[AsyncSession], Awaitable[T]]
) -> T:
    """Do `job` in one transaction, again after a deadlock; returns its result.

    Raises Cancelled, or what went wrong; the import's status says so too.
    """
    try:
        return await _try(database, key, job)
    except asyncio.CancelledError:
        error = f"the program was stopped while it {kind.verb}"
        await asyncio.shield(_settle(database, key, kind.status, kind.stopped, error))
        raise
    except Cancelled:
        await drop_staged(database, key)
        raise
    except Exception as error:
        await _settle(database, key, kind.status, kind.failed, _sentence(error))
        raise


async def _try(database: Database, key: Key, job: Callable[[AsyncSession], Awaitable[T]]) -> T:
    for attempt in range(1, TRIES + 1):
        try:
            async with database.write.begin() as session:
                await session.execute(_PATIENT)
                await session.execute(_ALIVE, {"name": f"import {key.ledger_id}/{key.import_id}"})
                return await job(session)
        except DBAPIError as error:
            if attempt == TRIES or is_lost(error) or not is_retryable(error):
                raise
    raise AssertionError  # pragma: no cover - the last try returns or raises


def _sentence(error: Exception) -> str:
    busy = refusal(error)
    return busy.message if busy else str(getattr(error, "orig", error)).splitlines()[0]


async def show(session: AsyncSession, key: Key, kind: Kind, done: int, total: int) -> None:
    """Let everybody see how far the work is; raises Cancelled if it is no longer wanted."""
    found = await repository.get_import(session, ledger_id=key.ledger_id, import_id=key.import_id)
    if found.status != kind.status:
        raise Cancelled(_CANCELLED)
    name = repository.progress_name(key.ledger_id, key.import_id, f"{done}/{total}")
    await session.execute(_SHOW, {"name": name})


async def finish(session: AsyncSession, key: Key, kind: Kind, status: str, **values: Any) -> None:  # noqa: ANN401 - its columns
    """Move the import on to `status`; raises Cancelled if somebody else has moved it."""
    try:
        await repository.move_import(
            session,
            ledger_id=key.ledger_id,
            import_id=key.import_id,
            steps={kind.status: status},
            error=None,
            **values,
        )
    except Conflict as error:
        raise Cancelled(_CANCELLED) from error


async def drop_staged(database: Database, key: Key) -> None:
    """Drop an import's staged rows, however many."""
    async with database.write.begin() as session:
        await session.execute(text("SET LOCAL statement_timeout = 0"))
        await delete_staged(session, key)


async def _settle(database: Database, key: Key, was: str, status: str, error: str) -> None:
    values = {"ledger_id": key.ledger_id, "import_id": key.import_id, "was": was}
    async with database.write.begin() as session:
        await session.execute(_SETTLE, {**values, "status": status, "error": error})


_CANCELLED = "the import was cancelled; the ledger is as it was before"
_PATIENT = text("""
SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '0', true)
""")
_ALIVE = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
_SHOW = text("SELECT set_config('application_name', :name, true)")
_SETTLE = text("""
UPDATE imports SET status = :status, error = :error,
  finished_at = CASE WHEN :status = 'failed' THEN now() ELSE finished_at END
WHERE ledger_id = :ledger_id AND id = :import_id AND status = :was
""")
