"""Undoes a version: all of it in the request's transaction, or nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger.database import AnyRow, sqlstate
from freshledger.errors import Conflict
from freshledger.history import obstacles, reversal
from freshledger.history.obstacles import Obstacle
from freshledger.history.repository import Group, Version

TIMEOUT = "10min"
"""For a version of any size: longer than a page may take."""

SHOWN = 20
"""How many of the rows that stand in the way are named."""

_CHECK = "23514"
"""check_violation."""

SETTLED = {"members", "tokens", "ledgers", "users", "saved_filters"}
_FINAL = {"done", "taken_back", "failed", "cancelled"}
_TURNS = {("taking_back", "taken_back"), ("taken_back", "done"), ("done", "taken_back")}
"""What an import's status becomes by being taken back, brought back, and taken back again."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a version can be undone: by its `rows`, as an `import`, or not (`no`: `why`)."""

    kind: str
    why: str = ""
    import_id: int | None = None


@dataclass(frozen=True, slots=True)
class Undone:
    """How many rows were put back, and how many were left as they are."""

    rows: int
    left_out: int


class UndoConflict(Conflict):
    """Later changes stand in the way of an undo; nothing was done.

    `found` are the first ones of `total`; where `at_least`, there may be more. `possible` tells
    whether leaving these out would put anything back.
    """

    code = "undo_conflict"

    def __init__(
        self, version: int, found: list[Obstacle], total: int, *, at_least: bool, possible: bool
    ) -> None:
        rows = "1 row" if total == 1 else f"{total:,} rows"
        since = sorted({one.version for one in found if one.version})
        by = f" by version {', '.join(map(str, since))}" if since else ""
        super().__init__(
            f"version {version} cannot be undone: {'at least ' if at_least else ''}{rows} changed"
            f" since{by}; nothing was done"
        )
        self.version, self.found, self.total = version, found, total
        self.at_least, self.possible = at_least, possible


def way_of(version: Version) -> Way:
    """Tell how a version can be undone."""
    batch = next((g.import_id for g in version.groups if g.import_id is not None), None)
    if batch is not None:
        return Way("import", import_id=batch)
    if not version.groups:
        return Way("no", "what it did is no longer recorded")
    for group in version.groups:
        if not group.kept:
            return Way(
                "no",
                f"{group.count:,} rows were changed in one statement, and its rows were not kept",
            )
    tables = {group.table for group in version.groups}
    if tables & SETTLED or not tables <= reversal.PARENTS.keys():
        return Way("no", "members, tokens, settings and saved filters are changed on their pages")
    if not all(_is_whole(group, tables) for group in version.groups):
        return Way("no", "it is one step of an import; take the import back instead")
    return Way("rows")


def _is_whole(group: Group, tables: set[str]) -> bool:
    """Tell whether a group is no single step of an import that goes on."""
    if group.table == "import_files":
        return "imports" in tables
    if group.table != "imports":
        return True
    if group.operation == "U":
        turns = [
            ((r.before or {}).get("status"), (r.after or {}).get("status")) for r in group.rows
        ]
        return all(turn in _TURNS for turn in turns)
    rows = [row.after or row.before or {} for row in group.rows]
    return "wallets" in tables and (
        group.operation == "D" or all(r["status"] in _FINAL for r in rows)
    )


async def undo_version(
    session: AsyncSession, *, ledger_id: int, version: Version, in_part: bool = False
) -> Undone:
    """Put back all that a version changed; raises UndoConflict where later changes would be lost.

    With `in_part` these are left as they are. Raises Conflict for what cannot be undone.
    """
    way = way_of(version)
    if way.kind != "rows":
        raise Conflict(f"version {version.version} cannot be undone here: {way.why or 'an import'}")
    try:
        async with session.begin_nested():
            return await _undo(session, ledger_id, version, in_part=in_part)
    except IntegrityError as error:
        if sqlstate(error) == _CHECK:
            raise Conflict(
                f"version {version.version} cannot be undone: what would come back is no longer"
                " possible beside what was changed since"
            ) from error
        raise Conflict(
            "somebody is changing what this needs right now; look again and repeat"
        ) from error


async def _undo(
    session: AsyncSession, ledger_id: int, version: Version, *, in_part: bool
) -> Undone:
    key = {"ledger": ledger_id, "tx": version.tx}
    await session.execute(select(func.set_config("statement_timeout", TIMEOUT, True)))  # noqa: FBT003 - set_config's is_local
    work = _Work(session, key)
    await work.lock(version)
    await work.reverse(in_part=in_part)
    if work.total and (not in_part or not work.rows):
        found = await obstacles.find_causes(
            session, ledger_id=ledger_id, version=version.version, obstacles=work.found
        )
        following = sum(g.count for g in version.groups if (g.table, g.operation) == _FOLLOWING)
        possible = version.count - following > work.total and not in_part
        raise UndoConflict(
            version.version, found, work.total, at_least=work.stopped, possible=possible
        )
    if not await session.scalar(_HAS_WRITTEN, key):
        raise Conflict(f"version {version.version} changed nothing; there is nothing to undo")
    await session.execute(_RESTORE_IMPORT_ROWS, key)
    await session.execute(_RESTORE_REFERENCES, key)
    await record_undo(session, ledger_id=ledger_id, version=version.version, left_out=work.total)
    return Undone(work.rows, work.total)


class _Work:
    """One undo: the parts of a version, the last first, and what stands in the way."""

    def __init__(self, session: AsyncSession, key: dict[str, Any]) -> None:
        self._session, self._key = session, key
        self.rows = self.total = 0
        self.stopped = False
        self.found: list[Obstacle] = []

    async def lock(self, version: Version) -> None:
        """Lock what is there, in the order of tables and keys, so that nothing comes between."""
        done = {(group.table, group.operation) for group in version.groups}
        for table in reversal.PARENTS:
            for operation in ("I", "U"):
                if (table, operation) in done and (table, operation) != _FOLLOWING:
                    await self._session.execute(reversal.locking(table, operation), self._key)

    async def reverse(self, *, in_part: bool) -> None:
        """Reverse the parts; without `in_part` it stops after a statement that it cannot."""
        last: tuple[str, str] | None = None
        for part in _in_order(list(await self._session.execute(_PARTS, self._key))):
            this = (part.table_name, part.operation)
            if this == _FOLLOWING:
                continue
            if self.total and not in_part and this != last:
                self.stopped = True
                return
            last = this
            await self._reverse_part(part)

    async def _reverse_part(self, part: AnyRow) -> None:
        key = {**self._key, "part": part.part}
        judging = reversal.judging(part.table_name, part.operation)
        found = (await self._session.execute(judging, {**key, "shown": SHOWN})).all()
        refused = found[0].total if found else 0
        self.total += refused
        self.found += [obstacles.of_row(row) for row in found[: SHOWN - len(self.found)]]
        if refused < part.rows:
            reversing = reversal.reversing(part.table_name, part.operation)
            done = (await self._session.execute(reversing, key)).scalar_one()
            if done + refused != part.rows:
                raise Conflict("somebody is changing the same rows right now; repeat it")
            self.rows += done


def _in_order(parts: list[AnyRow]) -> Iterator[AnyRow]:
    """Yield the parts, the last first, but what a row needs before the row.

    What a deletion does by its foreign keys is written down after it.
    """
    while parts:
        part = parts[0]
        needed = set[str]() if part.operation == "I" else reversal.ancestors(part.table_name)
        first = [p for p in parts[1:] if p.operation == "D" and p.table_name in needed]
        parts = [other for other in parts[1:] if other not in first]
        yield from _in_order(first)
        yield part


_FOLLOWING = ("transaction_labels", "U")
"""What links carry follows their transaction by itself."""

_PARTS = text("""
SELECT part, table_name, operation, count AS rows FROM changes
WHERE ledger_id = :ledger AND tx = :tx ORDER BY part DESC
""")

_HAS_WRITTEN = text("""
SELECT EXISTS (SELECT FROM changes WHERE ledger_id = :ledger AND tx = touch(:ledger))
""")

_RESTORE_IMPORT_ROWS = text("""
INSERT INTO import_rows (ledger_id, import_id, transaction_id, outcome)
SELECT d.ledger_id, d.import_id, unnest(d.ids), d.outcome FROM dropped_import_rows d
JOIN imports i ON i.ledger_id = d.ledger_id AND i.id = d.import_id
WHERE d.ledger_id = :ledger AND d.tx = :tx AND d.table_name = 'import_rows'
ON CONFLICT DO NOTHING
""")

_RESTORE_REFERENCES = text("""
INSERT INTO import_references (ledger_id, import_id, reference_id, outcome)
SELECT d.ledger_id, d.import_id, unnest(d.ids), d.outcome FROM dropped_import_rows d
JOIN imports i ON i.ledger_id = d.ledger_id AND i.id = d.import_id
WHERE d.ledger_id = :ledger AND d.tx = :tx AND d.table_name = 'import_references'
ON CONFLICT DO NOTHING
""")


async def record_undo(
    session: AsyncSession, *, ledger_id: int, version: int, left_out: int = 0
) -> None:
    """Write down that the running transaction undoes a version, but for `left_out` rows."""
    given = {"ledger": ledger_id, "version": version, "left_out": left_out}
    await session.execute(_RECORD, given)


_RECORD = text("""
INSERT INTO undos (ledger_id, tx, version, left_out)
VALUES (:ledger, touch(:ledger), :version, :left_out)
""")
