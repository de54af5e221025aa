"""Commits imports and takes them back: tasks of this process with sessions of their own, which outlive the browser."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import func, text
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger.database import AnyRow, Database
from freshledger.errors import Conflict
from freshledger.imports import committing, preview, repository, work
from freshledger.imports.commands import Batch, stage_import, take_back_import
from freshledger.imports.committing import Key
from freshledger.imports.files import drop_spool
from freshledger.imports.preview import Counts
from freshledger.imports.staging import Report, plan_for_many
from freshledger.imports.work import COMMITTING, TAKING_BACK
from freshledger.settings import Settings

Also = Callable[[AsyncSession], Awaitable[None]]
"""What is written in the same transaction."""


@dataclass(frozen=True, slots=True)
class Commit:
    """An import to be committed, and on whose behalf (how the ledger's record names them)."""

    key: Key
    actor: str


@dataclass(frozen=True, slots=True)
class Tried:
    """What reading files showed: `counts` of what is not kept as a staged import, else None."""

    key: Key
    counts: Counts | None
    problems: list[AnyRow]


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
        problems = await preview.list_problems(session, **key)
        found = await repository.get_import(session, **key)
        if wanted(found.counts["problems"]):
            await session.commit()
            return Tried(Key(**key), None, problems)
        return Tried(Key(**key), await preview.count_outcomes(session, **key), problems)


async def claim_import(session: AsyncSession, key: Key) -> None:
    """Take an import for committing; raises Conflict if somebody else has, or it is incomplete."""
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
    counts = await work.run(
        database, commit.key, COMMITTING, lambda session: _write(session, commit, report)
    )
    await work.drop_staged(database, commit.key)
    return counts


async def _write(session: AsyncSession, commit: Commit, report: Report) -> dict[str, int]:
    key = commit.key
    await session.execute(_PREPARE, {"actor": commit.actor, "batch": str(key.import_id)})
    await plan_for_many(session)
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
    await work.finish(
        session, key, COMMITTING, "done", counts=found.counts | counts, finished_at=func.now()
    )
    return counts | {"problems": found.counts["problems"]}


async def _insert_rows(session: AsyncSession, key: Key, found: AnyRow, report: Report) -> int:
    new, done, total = 0, 0, found.counts["movements"]
    for file_id, first, movements in await committing.list_chunks(session, key):
        await work.show(session, key, COMMITTING, done, total)
        new += await committing.insert_chunk(session, key, file_id=file_id, first=first)
        done += movements
        report(done, total)
    await work.show(session, key, COMMITTING, total, total)
    return new


# The batch is the record of what is inserted.
_PREPARE = text("""
SELECT set_config('freshledger.actor', :actor, true), set_config('freshledger.import', :batch, true)
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


async def claim_taking_back(session: AsyncSession, key: Key) -> None:
    """Take a committed import for taking it back; raises Conflict if it is not there to be."""
    await repository.move_import(
        session,
        ledger_id=key.ledger_id,
        import_id=key.import_id,
        steps={"done": TAKING_BACK.status},
        error=None,
    )


async def run_taking_back(
    database: Database, key: Key, *, actor: str, also: Also | None = None
) -> int:
    """Take a claimed import back, all of it or nothing; returns how many movements are gone.

    `also` is done in the same transaction.
    """

    async def take_back(session: AsyncSession) -> int:
        await session.execute(_PREPARE, {"actor": actor, "batch": ""})
        if also:
            await also(session)
        return await take_back_import(session, key=key)

    return await work.run(database, key, TAKING_BACK, take_back)
