"""What the feed reads of a ledger: where it stands, and the changes since a version."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from freshledger.live.events import FARTHEST, MOST_CHANGES, Change, Kind, News

MOST_IDS = 100
"""Ids of one change that are named; more are only counted."""

_READ = f"""
WITH head AS (
  SELECT h.version, l.epoch, r.at
  FROM heads h JOIN ledgers l ON l.id = h.ledger_id
  LEFT JOIN revisions r ON r.ledger_id = h.ledger_id AND r.version = h.version
  WHERE h.ledger_id = $1)
SELECT head.version AS head, head.epoch, head.at, c.*
FROM head LEFT JOIN LATERAL (
  SELECT r.version, left(c.actor, 100) AS actor, c.table_name, c.operation, sum(c.count)::bigint AS rows,
         min(c.part) AS part, bool_and(c.ids IS NOT NULL) AS named,
         string_to_array(string_agg(array_to_string(c.ids, ','), ',')
                         FILTER (WHERE c.count <= {MOST_IDS}), ',')::bigint[] AS ids
  FROM revisions r JOIN changes c USING (ledger_id, tx)
  WHERE r.ledger_id = $1 AND r.version > $2::bigint
    AND r.version <= head.version AND head.version - $2::bigint <= {FARTHEST}
  GROUP BY r.version, c.actor, c.table_name, c.operation) c ON true
ORDER BY c.version, c.part
"""  # noqa: S608 - our own numbers


@dataclass(frozen=True)
class Stand:
    """Where a ledger stands, in one snapshot, and what was done after `since`."""

    version: int
    epoch: UUID
    at: datetime | None
    since: int
    changes: tuple[Change, ...]

    @property
    def whole(self) -> bool:
        """Whether the changes are all of since+1..version: none too old, too many or pruned."""
        found = {change.version for change in self.changes}
        return 0 <= self.version - self.since == len(found) and len(self.changes) <= MOST_CHANGES

    def news(self, epoch: UUID | None) -> News:
        """Return what to tell whoever is at `since` of `epoch` (None: of whichever it is)."""
        kind = Kind.CHANGE
        if not self.whole or epoch not in (None, self.epoch):
            kind = Kind.RESYNC
        elif self.since == self.version:
            kind = Kind.READY
        changed = kind is Kind.CHANGE
        return News(
            kind,
            since=self.since if changed else self.version,
            version=self.version,
            epoch=self.epoch,
            at=self.at,
            changes=self.changes if changed else (),
        )


Fetch = Callable[..., Awaitable[list[Any]]]
"""Runs a statement with its values, and returns its rows: columns by name."""


async def read_stand(fetch: Fetch, ledger_id: int, *, since: int | None) -> Stand | None:
    """Read where the ledger stands, in one statement; None where there is no such ledger."""
    rows = await fetch(_READ, ledger_id, since)
    if not rows:
        return None
    first = rows[0]
    changes = tuple(
        Change(row["version"], row["actor"], row["table_name"], row["operation"], row["rows"],
               _ids(row["rows"], row["ids"]) if row["named"] else None)
        for row in rows if row["version"] is not None
    )  # fmt: skip
    return Stand(
        version=first["head"],
        epoch=first["epoch"],
        at=first["at"],
        since=first["head"] if since is None else since,
        changes=changes,
    )


def _ids(rows: int, ids: list[int] | None) -> list[int] | None:
    return sorted(set(ids or ())) if rows <= MOST_IDS else None
