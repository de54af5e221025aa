"""What an import would do to the ledger as it is now, compared set-wise in one snapshot."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger.database import AnyRow

SHOWN = 12
"""How many rows of each kind a preview shows."""

SHOWN_PROBLEMS = 200


@dataclass(frozen=True, slots=True)
class Counts:
    """How many movements are new, there already, changed, or were deleted by a person.

    `equal` of the new ones look like a row of another source in the same wallet. `lines` are
    of BIP-329. `first` and `last` are the period of all of them, UTC.
    """

    new: int
    there: int
    updated: int
    deleted: int
    equal: int
    new_lines: int
    lines_there: int
    problems: int
    first: datetime | None
    last: datetime | None


COMPARED = """
FROM staged_rows s
LEFT JOIN transactions t ON t.ledger_id = s.ledger_id AND t.wallet_id = s.wallet_id
  AND t.identity = s.identity AND t.occurrence = s.occurrence
LEFT JOIN tombstones d ON d.ledger_id = s.ledger_id AND d.wallet_id = s.wallet_id
  AND d.identity = s.identity AND d.occurrence = s.occurrence
CROSS JOIN LATERAL (SELECT CASE WHEN 'status' = ANY(t.hand_edited) THEN t.status
                                ELSE s.status END AS status) next
CROSS JOIN LATERAL (SELECT CASE WHEN next.status = 'failed' THEN 0
                                WHEN 'amount' = ANY(t.hand_edited) THEN t.amount
                                ELSE s.amount END AS amount) next_amount
WHERE s.ledger_id = :ledger_id AND s.import_id = :import_id AND s.kind = 'movement'
"""
"""A staged movement beside its transaction, if there is one, and what that would become."""

CHANGED = "(next.status, next_amount.amount) IS DISTINCT FROM (t.status, t.amount)"

OUTCOME = f"""CASE WHEN t.id IS NOT NULL THEN CASE WHEN {CHANGED} THEN 'updated' ELSE 'there' END
                   WHEN d.identity IS NOT NULL THEN 'deleted' ELSE 'new' END"""

# The same movement as another source tells it: its identity differs, all that matters is equal.
EQUAL = """EXISTS (SELECT FROM transactions e
                   WHERE e.ledger_id = s.ledger_id AND e.txid = s.txid AND e.asset = s.asset
                     AND e.wallet_id = s.wallet_id AND e.amount = s.amount)"""

_COUNTS = text(f"""
WITH outcomes AS (
  SELECT s.occurred_at, {OUTCOME} AS outcome {COMPARED})
SELECT count(*) FILTER (WHERE outcome = 'new') AS new,
       count(*) FILTER (WHERE outcome = 'there') AS there,
       count(*) FILTER (WHERE outcome = 'updated') AS updated,
       count(*) FILTER (WHERE outcome = 'deleted') AS deleted,
       min(occurred_at) AS first, max(occurred_at) AS last
FROM outcomes
""")  # noqa: S608 - constants

REFERENCED = """
FROM staged_rows s
LEFT JOIN reference_labels r ON r.ledger_id = s.ledger_id
  AND r.type = s.detail ->> 'type' AND r.ref = s.detail ->> 'ref'
  AND r.origin IS NOT DISTINCT FROM s.detail ->> 'origin'
  AND r.label IS NOT DISTINCT FROM s.detail ->> 'label'
WHERE s.ledger_id = :ledger_id AND s.import_id = :import_id AND s.kind = 'reference'
"""
"""A staged line of BIP-329 beside the kept one, if there is one."""

_EQUAL = f"{COMPARED} AND t.id IS NULL AND d.identity IS NULL AND s.txid IS NOT NULL AND {EQUAL}"

_COUNT_EQUAL = text(f"SELECT count(*) {_EQUAL}")

_LINES = text(f"""
SELECT (SELECT count(DISTINCT (s.detail ->> 'type', s.detail ->> 'ref', s.detail ->> 'origin',
                               s.detail ->> 'label')) {REFERENCED} AND r.id IS NULL) AS new_lines,
       (SELECT count(*) {REFERENCED} AND r.id IS NOT NULL) AS lines_there,
       (SELECT count(*) FROM staged_rows WHERE ledger_id = :ledger_id AND import_id = :import_id
        AND kind = 'problem') AS problems
""")  # noqa: S608 - constants

_ROW = f"""
SELECT f.name AS file, s.line, s.occurred_at, s.type, s.status, s.asset, s.contract, s.amount,
       s.txid, s.own_address, s.counterparty, s.note, s.labels, {OUTCOME} AS outcome
"""

_FILE = "JOIN import_files f ON f.ledger_id = s.ledger_id AND f.id = s.file_id\nWHERE"

_FIRST_ROWS = text(f"""
{_ROW} {COMPARED.replace("WHERE", _FILE)} ORDER BY s.file_id, s.n LIMIT {SHOWN}
""")

_EQUAL_ROWS = text(f"""
{_ROW} {_EQUAL.replace("WHERE", _FILE, 1)} ORDER BY s.file_id, s.n LIMIT {SHOWN}
""")

_PROBLEMS = text(f"""
SELECT f.name AS file, s.line, s.detail ->> 'column' AS column, s.detail ->> 'message' AS message
FROM staged_rows s {_FILE} s.ledger_id = :ledger_id AND s.import_id = :import_id
  AND s.kind = 'problem'
ORDER BY s.file_id, s.n LIMIT {SHOWN_PROBLEMS}
""")  # noqa: S608 - constants

_LINE_ROWS = text(f"""
SELECT f.name AS file, s.line, s.detail ->> 'type' AS type, s.detail ->> 'ref' AS ref,
       s.detail ->> 'label' AS label
FROM staged_rows s {_FILE} s.ledger_id = :ledger_id AND s.import_id = :import_id
  AND s.kind = 'reference'
ORDER BY s.file_id, s.n LIMIT {SHOWN}
""")  # noqa: S608 - constants


async def count_outcomes(session: AsyncSession, *, ledger_id: int, import_id: int) -> Counts:
    """Return what committing would do; several statements, so give it a snapshot."""
    key = {"ledger_id": ledger_id, "import_id": import_id}
    counts = (await session.execute(_COUNTS, key)).one()
    equal = await session.scalar(_COUNT_EQUAL, key) if counts.new else 0
    lines = (await session.execute(_LINES, key)).one()
    return Counts(**counts._mapping, **lines._mapping, equal=equal)  # noqa: SLF001 - Row's public mapping


async def list_first_rows(session: AsyncSession, *, ledger_id: int, import_id: int) -> list[AnyRow]:
    """Return the first movements with their file, line and outcome."""
    key = {"ledger_id": ledger_id, "import_id": import_id}
    return list(await session.execute(_FIRST_ROWS, key))


async def list_equal_rows(session: AsyncSession, *, ledger_id: int, import_id: int) -> list[AnyRow]:
    """Return the first new movements that equal a row of another source."""
    key = {"ledger_id": ledger_id, "import_id": import_id}
    return list(await session.execute(_EQUAL_ROWS, key))


async def list_first_lines(
    session: AsyncSession, *, ledger_id: int, import_id: int
) -> list[AnyRow]:
    """Return the first lines of BIP-329."""
    key = {"ledger_id": ledger_id, "import_id": import_id}
    return list(await session.execute(_LINE_ROWS, key))


async def list_problems(session: AsyncSession, *, ledger_id: int, import_id: int) -> list[AnyRow]:
    """Return the first problems: file, line, column and sentence."""
    key = {"ledger_id": ledger_id, "import_id": import_id}
    return list(await session.execute(_PROBLEMS, key))
