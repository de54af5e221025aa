"""What stands in the way of an undo, and which later version put it there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger.database import AnyRow


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a row cannot be put back: `why` is gone, changed, there, needs, taken or used.

    `table`, `row` and for links `label` name what stands in the way: the row itself, or another
    that it needs, that has its name, or that hangs on it. `version` did that and `actor` made it;
    both are None where no record of single rows says so. `fields` are those that it changed.
    """

    why: str
    table: str
    row: int
    label: int | None
    fields: tuple[str, ...]
    version: int | None = None
    actor: str | None = None


def of_row(row: AnyRow) -> Obstacle:
    """Read an obstacle as the statements of reversal write it."""
    why, table, identifier, *label = row.obstacle
    return Obstacle(
        why, table, int(identifier), int(label[0]) if label else None, tuple(row.fields or ())
    )


async def find_causes(
    session: AsyncSession, *, ledger_id: int, version: int, obstacles: Sequence[Obstacle]
) -> list[Obstacle]:
    """Return the obstacles with the newest version after `version` that put each there."""
    given: dict[str, Any] = {
        "ledger": ledger_id,
        "version": version,
        "tables": [one.table for one in obstacles],
        "rows": [one.row for one in obstacles],
        "labels": [one.label for one in obstacles],
        "fields": [",".join(one.fields) if one.why == "changed" else None for one in obstacles],
    }
    causes = (await session.execute(_CAUSES, given)).all()
    return [
        Obstacle(one.why, one.table, one.row, one.label, one.fields, cause.version, cause.actor)
        for one, cause in zip(obstacles, causes, strict=True)
    ]


# A link is found by its transaction, and then by its label; an import's rows by the import.
_CAUSES = text("""
SELECT v.version, v.actor
FROM ROWS FROM (unnest(CAST(:tables AS text[])), unnest(CAST(:rows AS bigint[])),
  unnest(CAST(:labels AS bigint[])), unnest(CAST(:fields AS text[])))
  WITH ORDINALITY w(kind, id, label, fields, n)
LEFT JOIN LATERAL (
  SELECT version, actor FROM (
    SELECT r.version, c.actor
    FROM changes c JOIN revisions r USING (ledger_id, tx)
    CROSS JOIN LATERAL (SELECT coalesce(c.after, c.before) AS rows,
                               array_position(c.ids, w.id) - 1 AS place) p
    WHERE c.ledger_id = :ledger AND c.table_name = w.kind AND c.ids @> ARRAY[w.id]
      AND r.version > :version
      AND (w.label IS NULL OR p.rows @> jsonb_build_array(
             jsonb_build_object('transaction_id', w.id, 'label_id', w.label)))
      AND (coalesce(w.fields, '') = '' OR c.operation <> 'U'
           OR p.rows -> p.place ?| string_to_array(w.fields, ','))
    UNION ALL
    SELECT r.version, c.actor
    FROM import_rows i JOIN changes c ON c.ledger_id = i.ledger_id AND c.import_id = i.import_id
      AND c.table_name = w.kind JOIN revisions r ON r.ledger_id = c.ledger_id AND r.tx = c.tx
    WHERE w.kind = 'transactions' AND i.ledger_id = :ledger AND i.transaction_id = w.id
      AND i.outcome IN ('new', 'updated') AND r.version > :version
  ) found ORDER BY version DESC LIMIT 1) v ON true
ORDER BY w.n
""")
