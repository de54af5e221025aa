"""Puts right what the long work of a process that is gone left behind.

Who works on an import or export holds an advisory lock, and so does a process whose work on it
waits its turn (imports/presence.py). PostgreSQL takes the locks from the dead, some of them only
when their last statement ends: so every process looks again and again. A job counts as left behind
when two looks meet it without a lock, because between its claim and its lock is a moment.
"""

import asyncio
import logging
from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from freshledger.database import Database
from freshledger.errors import Busy

SECONDS = 10
"""Between two looks."""

log = logging.getLogger(__name__)


class Job(NamedTuple):
    """An import or export that its row says is being worked on."""

    kind: str
    ledger_id: int
    id: int
    status: str


_JOBS = text("""
SELECT 'import', ledger_id, id, status FROM imports
WHERE status IN ('reading', 'committing', 'taking_back')
UNION ALL
SELECT 'export', ledger_id, id, status FROM exports WHERE status = 'making'
""")

_ONE = """
WHERE ledger_id = :ledger_id AND id = :id AND status = :status
  AND pg_try_advisory_xact_lock(hashtextextended(:name, 0))
  AND pg_try_advisory_xact_lock(hashtextextended('waiting ' || :name, 0))
"""

_RECOVER = {
    "import": text(f"""
UPDATE imports i SET
  status = CASE WHEN status = 'reading' THEN 'failed' WHEN status = 'taking_back' THEN 'done'
                WHEN EXISTS (SELECT FROM staged_rows s
                             WHERE s.ledger_id = i.ledger_id AND s.import_id = i.id)
                THEN 'staged' ELSE 'failed' END,
  finished_at = CASE status WHEN 'reading' THEN now() ELSE finished_at END,
  error = 'the program was stopped while it ' ||
          CASE status WHEN 'reading' THEN 'read' WHEN 'taking_back' THEN 'took it back'
                      ELSE 'committed' END
{_ONE}
"""),  # noqa: S608 - constants
    "export": text(f"""
UPDATE exports SET status = 'failed', error = 'the program was stopped; make it again',
  finished_at = now()
{_ONE}
"""),  # noqa: S608 - constants
}


async def list_jobs(database: Database) -> set[Job]:
    """Return everything that is being worked on, or was when its process ended."""
    async with database.read() as session:
        return {Job(*row) for row in await session.execute(_JOBS)}


async def recover(database: Database, jobs: Collection[Job]) -> None:
    """Put those jobs right that nobody works on: they failed, or wait again."""
    for job in jobs:
        values = {**job._asdict(), "name": f"{job.kind} {job.ledger_id}/{job.id}"}
        async with database.write.begin() as session:
            await session.execute(_RECOVER[values.pop("kind")], values)


async def keep_recovering(database: Database) -> None:
    """Look every few seconds, until cancelled; a database that is away is waited for."""
    before: set[Job] = set()
    while True:
        try:
            found = await list_jobs(database)
            await recover(database, found & before)
            before = found
        except (SQLAlchemyError, Busy, OSError) as error:
            log.info("unfinished work could not be looked for: %s", error)
        await asyncio.sleep(SECONDS)
