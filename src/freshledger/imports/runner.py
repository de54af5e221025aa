"""Commits imports: tasks of this process with sessions of their own, which outlive the browser.

An import's status is the only thing two processes tell each other: it is claimed (committing)
in a transaction of its own, then written in one transaction that ends by setting done. Whoever
cancels sets cancelled meanwhile; then there is nothing to set done, and all is rolled back. The
transaction holds an advisory lock, so that a start after a crash sees that nobody is at work.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger.database import AnyRow, Database, is_retryable, refusal
from freshledger.errors import AppError, Conflict
from freshledger.imports import committing, preview, repository
from freshledger.imports.commands import Batch, stage_import
from freshledger.imports.committing import Key
from freshledger.imports.files import drop_spool
from freshledger.imports.preview import Counts
from freshledger.imports.staging import Report, plan_for_many
from freshledger.settings import Settings

TRIES = 3

log = logging.getLogger(__name__)


class Cancelled(AppError):
    """Somebody cancelled the import; the ledger is as it was before."""

    code = "cancelled"


@dataclass(frozen=True, slots=True)
class Commit:
    """An import to be committed, and on whose behalf (how the ledger's record names them)."""

    key: Key
    actor: str


@dataclass(frozen=True, slots=True)
class Tried:
    """What reading files showed, and whether they are `kept` as a staged import."""

    key: Key
    counts: Counts
    problems: list[AnyRow]
    kept: bool


async def stage_if(
    database: Database,
    batch: Batch,
    answers: Mapping[str, str],
    *,
    report: Report,
    wanted: Callable[[int], bool],
) -> Tried:
    """Stage files if they are `wanted`, which is asked with the number of problems.

    Else nothing is left of them, not even a wallet.
    """
    async with database.write() as session:
        import_id = await stage_import(session, batch=batch, answers=answers, report=report)
        key = {"ledger_id": batch.ledger_id, "import_id": import_id}
        counts = await preview.count_outcomes(session, **key)
        problems = await preview.list_problems(session, **key)
        kept = wanted(counts.problems)
        if kept:
            await session.commit()
    return Tried(Key(**key), counts, problems, kept)


async def claim_import(database: Database, key: Key) -> None:
    """Take an import for committing; raises Conflict if somebody else has, or it is incomplete."""
    async with database.write.begin() as session:
        await repository.move_import(
            session,
            ledger_id=key.ledger_id,
            import_id=key.import_id,
            steps={"staged": "committing"},
        )
        await _check_complete(session, key)


async def _check_complete(session: AsyncSession, key: Key) -> None:
    found = await repository.get_import(session, ledger_id=key.ledger_id, import_id=key.import_id)
    if "movements" not in found.counts:
        raise Conflict("the files of this import have not been read; answer its questions first")
    staged = await repository.count_staged(
        session, ledger_id=key.ledger_id, import_id=key.import_id
    )
    if staged < sum(found.counts[name] for name in ("movements", "references", "problems")):
        raise Conflict("what was read is gone: the database was restarted; read the files again")


async def run_import(database: Database, commit: Commit, report: Report) -> dict[str, int]:
    """Commit a claimed import; returns the counts.

    Raises Cancelled, or what went wrong. Whatever happens, all of it is in the ledger or
    nothing is, and the import's status says which.
    """
    try:
        counts = await _try(database, commit, report)
    except asyncio.CancelledError:
        await asyncio.shield(_settle(database, commit.key, "staged", None))
        raise
    except Cancelled:
        await _drop(database, commit.key)
        raise
    except Exception as error:
        busy = refusal(error)
        said = busy.message if busy else str(getattr(error, "orig", error)).splitlines()[0]
        await _settle(database, commit.key, "failed", said)
        raise
    await _drop(database, commit.key)
    return counts


async def _try(database: Database, commit: Commit, report: Report) -> dict[str, int]:
    for attempt in range(1, TRIES + 1):
        try:
            async with database.write.begin() as session:
                return await _write(session, commit, report)
        except DBAPIError as error:
            if attempt == TRIES or not is_retryable(error, committing=True):
                raise
    raise AssertionError  # pragma: no cover - the last try returns or raises


async def _write(session: AsyncSession, commit: Commit, report: Report) -> dict[str, int]:
    key = commit.key
    await session.execute(_PREPARE, {"actor": commit.actor, "batch": str(key.import_id)})
    await plan_for_many(session)
    await session.execute(_ALIVE, {"name": _lock_name(key)})
    await committing.lock_wallets(session, key)
    found = await repository.get_import(session, ledger_id=key.ledger_id, import_id=key.import_id)
    new, updated, there = await _insert_rows(session, key, found, report), 0, 0
    if new < found.counts["movements"]:
        updated = await committing.update_changed(session, key)
        there = await committing.note_there(session, key)
    lines = await committing.insert_references(session, key) if found.counts["references"] else 0
    await committing.insert_contacts(session, key)
    await committing.insert_labels(session, key)
    if address := found.options["answers"].get("address"):
        await committing.insert_own_address(session, key, address=address)
    deleted = found.counts["movements"] - new - updated - there
    counts = {"new": new, "there": there, "updated": updated, "deleted": deleted, "lines": lines}
    await _finish(session, key, found.counts | counts)
    return counts | {"problems": found.counts["problems"]}


async def _insert_rows(session: AsyncSession, key: Key, found: AnyRow, report: Report) -> int:
    new, done, total = 0, 0, found.counts["movements"]
    for file_id, first, movements in await committing.list_chunks(session, key):
        await _check_wanted(session, key)
        await session.execute(_SHOW, {"name": _shown(key, f"{done}/{total}")})
        new += await committing.insert_chunk(session, key, file_id=file_id, first=first)
        done += movements
        report(done, total)
    await session.execute(_SHOW, {"name": _shown(key, f"{total}/{total}")})
    return new


def _shown(key: Key, progress: str) -> str:
    return repository.progress_name(key.ledger_id, key.import_id, progress)


async def _check_wanted(session: AsyncSession, key: Key) -> None:
    found = await repository.get_import(session, ledger_id=key.ledger_id, import_id=key.import_id)
    if found.status != "committing":
        raise Cancelled("the import was cancelled; the ledger is as it was before")


async def _finish(session: AsyncSession, key: Key, counts: dict[str, Any]) -> None:
    try:
        await repository.move_import(
            session,
            ledger_id=key.ledger_id,
            import_id=key.import_id,
            steps={"committing": "done"},
            counts=counts,
            finished_at=func.now(),
        )
    except Conflict as error:
        raise Cancelled("the import was cancelled; the ledger is as it was before") from error


async def _settle(database: Database, key: Key, status: str, error: str | None) -> None:
    async with database.write.begin() as session:
        await session.execute(_SETTLE, {**_of(key), "status": status, "error": error})


async def _drop(database: Database, key: Key) -> None:
    async with database.write.begin() as session:
        await session.execute(text("SET LOCAL statement_timeout = 0"))
        await committing.delete_staged(session, key)


def _of(key: Key) -> dict[str, int]:
    return {"ledger_id": key.ledger_id, "import_id": key.import_id}


def _lock_name(key: Key) -> str:
    return f"import {key.ledger_id}/{key.import_id}"


# The batch is the record of what is inserted; and waiting for others may take its time.
_PREPARE = text("""
SELECT set_config('freshledger.actor', :actor, true), set_config('freshledger.import', :batch, true),
       set_config('statement_timeout', '0', true), set_config('lock_timeout', '0', true),
       set_config('enable_nestloop', 'off', true)  -- staged rows have no statistics yet
""")
_ALIVE = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
_SHOW = text("SELECT set_config('application_name', :name, true)")
_SETTLE = text("""
UPDATE imports SET status = :status, error = :error,
  finished_at = CASE WHEN :status = 'failed' THEN now() END
WHERE ledger_id = :ledger_id AND id = :import_id AND status = 'committing'
""")


async def forget_import(database: Database, key: Key) -> None:
    """Delete an import that was interrupted and waits again; in any other state it stays."""
    async with database.write.begin() as session:
        found = await repository.get_import(
            session, ledger_id=key.ledger_id, import_id=key.import_id
        )
        if found.status == "staged":
            await repository.delete_import(
                session, ledger_id=key.ledger_id, import_id=key.import_id
            )


async def run_uploaded(
    database: Database, settings: Settings, commit: Commit, token: str | None
) -> None:
    """Commit a claimed import, and drop its upload once there is no way back to it."""
    try:
        await run_import(database, commit, lambda _done, _total: None)
    except Exception:
        await asyncio.to_thread(drop_spool, settings, token)
        raise
    await asyncio.to_thread(drop_spool, settings, token)
