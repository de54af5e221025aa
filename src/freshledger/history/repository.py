"""Reads the ledger's history: versions, what each did, and its rows.

A page of versions walks them from its place on. Where a filter lets few of them in, the walk
ends after WINDOW versions, and an index of the changes gives the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    and_,
    bindparam,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger.database import AnySelect
from freshledger.errors import NotFound
from freshledger.history.filters import OPERATIONS, TABLES, HistoryFilter
from freshledger.models import Change, ImportRow, Revision
from freshledger.paging import Cursor, Page, decode_cursor, page_of, whole_number
from freshledger.transactions.periods import Clock, begin, end

WINDOW = 2000
"""How many versions a page walks before it asks the index of changes."""

SAMPLE = 5
"""How many rows of a change the list shows."""

_OWNED = {"contacts": ("contact_addresses", "contact_id"), "wallets": ("wallet_addresses", "wallet_id")}  # fmt: skip
"""What belongs to a row of a table: another table, and its column that says so."""


@dataclass(frozen=True, slots=True)
class RowChange:
    """What became of a row: None before an insertion and after a deletion.

    An update has the columns that differ; `id` is the first of the row's key.
    """

    table: str
    operation: str
    id: int
    before: dict[str, Any] | None
    after: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Group:
    """All that a version did to a table in one way; `rows` are the first ones.

    `kept` is False where only the number of rows was written down.
    """

    table: str
    operation: str
    count: int
    import_id: int | None
    kept: bool
    rows: tuple[RowChange, ...]


@dataclass(frozen=True, slots=True)
class Version:
    """What one transaction did to the ledger, and when (UTC) it committed."""

    version: int
    tx: UUID
    at: datetime
    actor: str
    groups: tuple[Group, ...]

    @property
    def count(self) -> int:
        """How many rows it changed."""
        return sum(group.count for group in self.groups)


_Place = tuple[int, UUID, datetime]


async def list_versions(
    session: AsyncSession,
    *,
    ledger_id: int,
    where: HistoryFilter,
    clock: Clock,
    cursor: Cursor,
    limit: int,
) -> Page[Version]:
    """Return a page of versions, newest first."""
    first, last = await _span(session, ledger_id, where, clock)
    place = whole_number(cursor.position[0]) if cursor.position else None
    search = _Search(session, ledger_id, where, cursor.backward)
    if place is None:
        low, high, behind = first, last, False
    elif cursor.backward:
        low, high = place + 1, last
        behind = bool(await search.replaced(backward=False).find(first, place, 1))
    else:
        low, high = first, place - 1
        behind = bool(await search.replaced(backward=True).find(place, last, 1))
    found = await search.find(low, high, limit + 1)
    page = page_of(
        found,
        cursor=cursor,
        limit=limit,
        behind=behind,
        scope=scope(where),
        key=lambda row: (str(row[0]),),
    )
    versions = await _whole(session, ledger_id, page.rows)
    return Page(versions, page.next, page.previous, page.first, page.last)


def first_row(cursor: str | None, *, scope: str) -> int:
    """Return how many rows of a version come before a cursor's place; raises Invalid."""
    position = decode_cursor(cursor, scope=scope, columns=1).position if cursor else None
    return max(0, whole_number(position[0])) if position else 0


def scope(where: HistoryFilter) -> str:
    """Return what the cursors of this list are bound to."""
    return f"history:{where.to_args()}"


async def get_version(session: AsyncSession, *, ledger_id: int, version: int) -> Version:
    """Return one version; raises NotFound."""
    search = select(Revision.version, Revision.tx, Revision.at).where(
        Revision.ledger_id == ledger_id, Revision.version == version
    )
    found = [tuple(row) for row in await session.execute(search)]
    if not found:
        raise NotFound(f"this ledger has no version {version}")
    return (await _whole(session, ledger_id, found))[0]  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class _Search:
    """Finds versions between two, in the direction of a page."""

    session: AsyncSession
    ledger_id: int
    where: HistoryFilter
    backward: bool

    def replaced(self, *, backward: bool) -> "_Search":
        return _Search(self.session, self.ledger_id, self.where, backward)

    async def find(self, low: int, high: int, limit: int) -> list[_Place]:
        """Return up to `limit` versions from `low` to `high`, the newest first; else the oldest."""
        if high < low:
            return []
        if not self.where.is_narrow:
            return await self._read(self._between(low, high), limit)
        if self.where.table:  # the changes of one row are few
            return await self._read(self._indexed(low, high), limit)
        if self.backward:
            near, rest = (low, min(high, low + WINDOW)), (low + WINDOW + 1, high)
        else:
            near, rest = (max(low, high - WINDOW), high), (low, high - WINDOW - 1)
        found = await self._read(self._walked(*near), limit)
        if len(found) < limit and rest[0] <= rest[1]:
            found += await self._read(self._indexed(*rest), limit - len(found))
        return found

    async def _read(self, statement: AnySelect, limit: int) -> list[_Place]:
        order = Revision.version.asc() if self.backward else Revision.version.desc()
        rows = await self.session.execute(statement.order_by(order).limit(limit))
        return [(row.version, row.tx, row.at) for row in rows]

    def _between(self, low: int, high: int) -> AnySelect:
        return select(Revision.version, Revision.tx, Revision.at).where(
            Revision.ledger_id == self.ledger_id, Revision.version.between(low, high)
        )

    def _walked(self, low: int, high: int) -> AnySelect:
        same = and_(Change.ledger_id == Revision.ledger_id, Change.tx == Revision.tx)
        wanted = _conditions(self.ledger_id, self.where)
        return self._between(low, high).where(exists().where(same, *wanted))

    def _indexed(self, low: int, high: int) -> AnySelect:
        wanted = _conditions(self.ledger_id, self.where)
        made = select(Change.tx).where(Change.ledger_id == self.ledger_id, *wanted)
        txs = made.distinct().cte("made").prefix_with("MATERIALIZED", dialect="postgresql")
        return self._between(low, high).where(Revision.tx.in_(select(txs.c.tx)))


def _conditions(ledger_id: int, where: HistoryFilter) -> list[ColumnElement[bool]]:
    """Return what one change of a version must be."""
    wanted = [
        Change.table_name == func.any(cast(list(where.tables), ARRAY(Change.table_name.type)))
    ]
    if where.table and where.row is not None:
        wanted = [_of_row(ledger_id, where.table, where.row)]
        if where.what:
            wanted.append(Change.table_name.in_(where.tables))
    if where.actor:
        wanted.append(Change.actor == where.actor)
    if where.operation:
        wanted.append(Change.operation == OPERATIONS[where.operation])
    if where.what == "notes":
        wanted.append(func.jsonb_path_exists(Change.after, text("'$[*].note'")))
        wanted.append(Change.operation == OPERATIONS["changed"])
    return wanted


def _of_row(ledger_id: int, table: str, row: int) -> ColumnElement[bool]:
    """Tell whether a change is of that row, or of what belongs to it alone."""
    tables = [table, *(["transaction_labels"] if table == "transactions" else [])]
    ids = Change.ids.contains(cast(literal([row]), ARRAY(BigInteger)))
    ways = [and_(Change.table_name.in_(tables), ids)]
    if table == "transactions":
        brought = select(ImportRow.import_id).where(
            ImportRow.ledger_id == ledger_id,
            ImportRow.transaction_id == row,
            ImportRow.outcome.in_(("new", "updated")),
        )
        ways.append(and_(Change.table_name == table, Change.import_id.in_(brought)))
    elif table in _OWNED:
        owned, column = _OWNED[table]
        its = cast(literal([{column: row}], JSONB), JSONB)
        ways.append(
            and_(
                Change.table_name == owned,
                or_(Change.before.contains(its), Change.after.contains(its)),
            )
        )
    return or_(*ways)


async def _span(
    session: AsyncSession, ledger_id: int, where: HistoryFilter, clock: Clock
) -> tuple[int, int]:
    """Return the first and the last version of the filter's time."""
    times = {
        "ledger": ledger_id,
        "begin": begin(where.begin, clock) if where.begin else datetime.min.replace(tzinfo=clock.now.tzinfo),
        "end": end(where.end, clock) if where.end else datetime.max.replace(tzinfo=clock.now.tzinfo),
    }  # fmt: skip
    row = (await session.execute(_SPAN, times)).one()
    return (row.first, row.last) if row.first and row.last else (1, 0)


# The clock gives the times in the order of the versions, so each end is one look into the index.
_SPAN = text("""
SELECT (SELECT version FROM revisions WHERE ledger_id = :ledger AND at >= :begin
        ORDER BY at, version LIMIT 1) AS first,
       (SELECT version FROM revisions WHERE ledger_id = :ledger AND at < :end
        ORDER BY at DESC, version DESC LIMIT 1) AS last
""").bindparams(bindparam("begin"), bindparam("end"))


async def _whole(
    session: AsyncSession, ledger_id: int, places: Sequence[_Place]
) -> tuple[Version, ...]:
    """Return versions with what they did, in groups, each with its first rows."""
    found = await session.execute(
        _GROUPS, {"ledger": ledger_id, "txs": [tx for _, tx, _ in places], "sample": SAMPLE}
    )
    groups: dict[UUID, list[Group]] = {}
    actors: dict[UUID, str] = {}
    for row in found:
        actors.setdefault(row.tx, row.actor)
        rows = (
            RowChange(row.table_name, row.operation, change["id"], change["b"], change["a"])
            for change in row.sample or ()
        )
        group = Group(row.table_name, row.operation, row.rows, row.import_id, row.kept, tuple(rows))
        groups.setdefault(row.tx, []).append(group)
    return tuple(
        Version(version, tx, at, actors.get(tx, ""), tuple(groups.get(tx, ())))
        for version, tx, at in places
    )


_GROUPS = text("""
SELECT g.*, c.actor, s.sample
FROM (SELECT tx, table_name, operation, sum(count)::bigint AS rows, min(part) AS part,
             max(import_id) AS import_id, bool_and(ids IS NOT NULL) AS kept
      FROM changes WHERE ledger_id = :ledger AND tx = ANY(CAST(:txs AS uuid[]))
      GROUP BY 1, 2, 3) g
JOIN changes c ON c.ledger_id = :ledger AND c.tx = g.tx AND c.part = g.part
LEFT JOIN LATERAL (
  SELECT jsonb_agg(jsonb_build_object('id', id, 'b', b, 'a', a) ORDER BY place) AS sample
  FROM (SELECT * FROM ROWS FROM (unnest(c.ids), jsonb_array_elements(c.before),
                                 jsonb_array_elements(c.after)) WITH ORDINALITY r(id, b, a, place)
        LIMIT :sample) r) s ON true
ORDER BY g.tx, g.part
""")


async def list_rows(
    session: AsyncSession, *, ledger_id: int, tx: UUID, first: int, limit: int
) -> tuple[RowChange, ...]:
    """Return the changed rows number `first` (from 0) and on of a version, as they were written."""
    values = {"ledger": ledger_id, "tx": tx, "first": first, "last": first + limit}
    return tuple(RowChange(*row) for row in await session.execute(_ROWS, values))


_ROWS = text("""
WITH parts AS (
  SELECT *, sum(count) OVER (ORDER BY part)::bigint - count AS passed FROM changes
  WHERE ledger_id = :ledger AND tx = :tx AND ids IS NOT NULL)
SELECT p.table_name, p.operation, r.id, r.b, r.a
FROM (SELECT * FROM parts WHERE passed < :last AND passed + count > :first) p
CROSS JOIN LATERAL ROWS FROM (unnest(p.ids), jsonb_array_elements(p.before),
  jsonb_array_elements(p.after)) WITH ORDINALITY r(id, b, a, place)
WHERE p.passed + r.place > :first AND p.passed + r.place <= :last
ORDER BY p.part, r.place
""")


@dataclass(frozen=True, slots=True)
class UndoneBy:
    """`by` undid `version`, but for `left_out` rows."""

    version: int
    by: int
    left_out: int


async def list_undos(
    session: AsyncSession, *, ledger_id: int, versions: Sequence[int]
) -> list[UndoneBy]:
    """Return which versions undid these, which undid those, and so on; and what these undid."""
    values = {"ledger": ledger_id, "versions": list(versions)}
    return [UndoneBy(*row) for row in await session.execute(_UNDOS, values)]


_UNDOS = text("""
WITH RECURSIVE undone AS (
  SELECT u.version, r.version AS by, u.left_out
  FROM undos u JOIN revisions r USING (ledger_id, tx)
  WHERE u.ledger_id = :ledger AND u.version = ANY(CAST(:versions AS bigint[]))
  UNION
  SELECT u.version, r.version, u.left_out
  FROM undone d JOIN undos u ON u.ledger_id = :ledger AND u.version = d.by
  JOIN revisions r ON r.ledger_id = u.ledger_id AND r.tx = u.tx
)
SELECT * FROM undone
UNION
SELECT u.version, r.version, u.left_out FROM revisions r JOIN undos u USING (ledger_id, tx)
WHERE ledger_id = :ledger AND r.version = ANY(CAST(:versions AS bigint[]))
""")


async def list_actors(session: AsyncSession, *, ledger_id: int) -> list[str]:
    """Return everybody who changed the ledger, by leaps through the index of changes."""
    return list(await session.scalars(_ACTORS, {"ledger": ledger_id, "tables": list(TABLES)}))


_ACTORS = text("""
WITH RECURSIVE leap AS (
  SELECT t AS table_name, (SELECT min(actor) FROM changes
                           WHERE ledger_id = :ledger AND table_name = t) AS actor
  FROM unnest(CAST(:tables AS text[])) t
  UNION ALL
  SELECT table_name, (SELECT min(actor) FROM changes c
                      WHERE ledger_id = :ledger AND c.table_name = l.table_name
                        AND c.actor > l.actor)
  FROM leap l WHERE actor IS NOT NULL)
SELECT DISTINCT actor FROM leap WHERE actor IS NOT NULL ORDER BY actor
""")
