"""What the database's own record says that a ledger was, at each of its versions."""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import asyncpg
import msgspec

from proof import records
from proof.records import Change, Row, plain

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Noted:
    """A row of `changes`, with its version: `before` and `after` are in the order of `ids`."""

    version: int
    actor: str
    table: str
    operation: str
    ids: tuple[int, ...]
    before: tuple[Values, ...] | None
    after: tuple[Values, ...] | None


@dataclass(frozen=True, slots=True)
class Step:
    """An update of a movement: its row version before and after; `old` is what it replaced."""

    version: int
    before: int
    after: int
    old: dict[str, str]


@dataclass
class Truth:
    """All versions of one ledger up to `last`.

    `rows`: of each movement, when it became what; None where it is not there. `sums[v]`: the
    number of movements and the net of each asset. `made`: in which versions an effect
    happened. `steps`: the updates of each movement. `changes`: what an event has to tell.
    """

    last: int = 0
    rows: dict[int, list[tuple[int, Row | None]]] = field(default_factory=dict)
    sums: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    made: dict[str, list[int]] = field(default_factory=dict)
    steps: dict[int, list[Step]] = field(default_factory=dict)
    changes: dict[int, list[Change]] = field(default_factory=dict)

    def row(self, identifier: int, version: int) -> Row | None:
        """What a movement was at a version."""
        became = self.rows.get(identifier, [])
        place = bisect_right(became, version, key=lambda at: at[0])
        return became[place - 1][1] if place else None

    def versions_showing(self, identifier: int, row: Row) -> list[int]:
        """When a movement became exactly that."""
        return [version for version, was in self.rows.get(identifier, []) if was == row]

    def state(self, version: int) -> dict[int, Row]:
        """All movements at a version."""
        found = ((identifier, self.row(identifier, version)) for identifier in self.rows)
        return {identifier: row for identifier, row in found if row is not None}


class _Replay:
    """Makes a ledger's versions one after the other from what was noted."""

    def __init__(self) -> None:
        self.truth = Truth(sums=[(0, {})])
        self.movements: dict[int, Values] = {}
        self.names: dict[int, str] = {}
        self.links: defaultdict[int, set[int]] = defaultdict(set)
        self.wearers: defaultdict[int, set[int]] = defaultdict(set)
        self.net: defaultdict[str, Decimal] = defaultdict(Decimal)
        self.held: Counter[str] = Counter()
        self.touched: set[int] = set()

    def version(self, version: int, noted: Iterable[Noted]) -> None:
        """Apply all that one transaction did."""
        self.touched = set()
        counts: Counter[tuple[str, str, str]] = Counter()
        for one in noted:
            counts[one.actor, one.table, one.operation] += len(one.ids)
            apply = getattr(self, f"_{one.table}", None)
            for place, identifier in enumerate(one.ids):
                before = one.before[place] if one.before else {}
                after = one.after[place] if one.after else {}
                if apply:
                    apply(version, identifier, before, after)
        self.truth.changes[version] = [
            Change(version, *what, many) for what, many in counts.items()
        ]
        for identifier in self.touched:
            became = self.truth.rows.setdefault(identifier, [])
            became.append((version, self._row(identifier)))
        sums = {asset: plain(self.net[asset]) for asset in +self.held}
        self.truth.sums.append((len(self.movements), sums))
        self.truth.last = version

    def _row(self, identifier: int) -> Row | None:
        if identifier not in self.movements:
            return None
        now = self.movements[identifier]
        labels = tuple(sorted(self.names[label] for label in self.links[identifier]))
        return Row(now["version"], now["note"], plain(now["amount"]), labels)

    def _made(self, effect: str, version: int) -> None:
        versions = self.truth.made.setdefault(effect, [])
        if versions[-1:] != [version]:
            versions.append(version)

    def _transactions(self, version: int, identifier: int, _before: Values, after: Values) -> None:
        self.touched.add(identifier)
        was = self.movements.pop(identifier, None)
        if was is None:
            self._made(records.created("transactions", after["note"]), version)
        elif not after:
            self._made(records.deleted("transactions", identifier), version)
        else:
            changed = [column for column in after if column not in _BESIDE]
            old = {column: _text(column, was[column]) for column in changed}
            step = Step(version, was["version"], after["version"], old)
            self.truth.steps.setdefault(identifier, []).append(step)
            for column in changed:
                value = _text(column, after[column])
                self._made(records.value_set(identifier, column, value), version)
        now = (was or {}) | after if after else None
        self._count(was, -1)
        self._count(now, 1)
        if now is not None:
            self.movements[identifier] = now

    def _count(self, movement: Values | None, sign: int) -> None:
        if movement is not None:
            self.held[movement["asset"]] += sign
            confirmed = movement["status"] == "confirmed"
            self.net[movement["asset"]] += sign * Decimal(movement["amount"] if confirmed else 0)

    def _labels(self, version: int, identifier: int, before: Values, after: Values) -> None:
        if not after:
            self._made(records.deleted("labels", identifier), version)
            return
        if not before:
            self._made(records.created("labels", after["name"]), version)
        if "name" in after:
            self.names[identifier] = after["name"]
            self.touched |= self.wearers[identifier]

    def _transaction_labels(
        self, version: int, identifier: int, before: Values, after: Values
    ) -> None:
        label = (after or before).get("label_id")
        if label is None or (before and after):
            return
        self.touched.add(identifier)
        effect = records.linked if after else records.unlinked
        self._made(effect(identifier, label), version)
        for known, one in ((self.links[identifier], label), (self.wearers[label], identifier)):
            (known.add if after else known.discard)(one)


_BESIDE = {"version", "hand_edited"}


def _text(column: str, value: Any) -> str:
    return plain(value) if column == "amount" else str(value)


def replay(noted: Iterable[tuple[int, Iterable[Noted]]]) -> Truth:
    """Make the truth of all versions from 1 on, in their order."""
    making = _Replay()
    for version, changes in noted:
        if version != making.truth.last + 1:
            raise AssertionError(f"version {version} follows {making.truth.last}: a gap")
        making.version(version, changes)
    return making.truth


RECORD = """
SELECT r.version, c.actor, c.table_name, c.operation, c.ids, c.before::text, c.after::text
FROM changes c JOIN revisions r USING (ledger_id, tx)
WHERE ledger_id = $1 ORDER BY r.version, c.part
"""
_decoder = msgspec.json.Decoder(tuple[dict[str, Any], ...], float_hook=Decimal)


async def read_truth(connection: asyncpg.Connection, ledger: int) -> Truth:
    """Read a ledger's whole record."""
    return replay(_by_version(map(_noted, await connection.fetch(RECORD, ledger))))


def _noted(row: Mapping[str, Any]) -> Noted:
    if row["ids"] is None:
        raise AssertionError(f"version {row['version']} was noted without its rows")
    before, after = (
        _decoder.decode(row[name]) if row[name] else None for name in ("before", "after")
    )
    return Noted(
        row["version"], row["actor"], row["table_name"], row["operation"], tuple(row["ids"]),
        before, after,
    )  # fmt: skip


def _by_version(noted: Iterable[Noted]) -> Iterator[tuple[int, list[Noted]]]:
    grouped: dict[int, list[Noted]] = {}
    for one in noted:
        grouped.setdefault(one.version, []).append(one)
    return iter(grouped.items())
