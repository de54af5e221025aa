"""Two people's edits of one row: both stay where they can, none is lost where they cannot.

An edit names the version of the row that its maker saw. The row is locked before it is
compared, so that nothing comes in between. What the versions since then changed is read from
the record of changes: other columns are merged; the same column, with another value, is a
lost edit. So is everything where the record does not account for each version in between.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from operator import itemgetter
from typing import Any

import msgspec
from msgspec import UNSET
from sqlalchemy import DateTime, Numeric
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger.changelog import RowEdit, name_actors, row_edits
from freshledger.errors import PreconditionFailed
from freshledger.models import Contact, Label, Transaction, Wallet

Versioned = type[Wallet] | type[Contact] | type[Label] | type[Transaction]
"""What has a row version."""

_NO_VALUES = frozenset({"version", "hand_edited"})
"""Columns that say of a row's edits, and are none of its values."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The version of a row that an edit is based on.

    `whole`: a form sends every field, and those that are as its maker saw them are no edit.
    """

    version: int
    whole: bool = False


class Lost(msgspec.Struct, frozen=True, omit_defaults=True):
    """One column in conflict: what stands there now, and what the edit would have set.

    `base` is what it was at the version that the edit names, where the record knows it;
    `changed_by` is a person's name, or 'psql user postgres'; `changed_at` is in UTC.
    """

    field: str
    theirs: Any
    yours: Any = UNSET
    base: Any = UNSET
    changed_by: str | None = None
    changed_at: datetime | None = None


class LostEdit(PreconditionFailed):
    """The row has changed since the version that was named: `version` is the one it has now.

    None where the row has no version, and an edit names the value that was seen.
    `rest` names the columns of the edit that are in no conflict; they were not saved either.
    """

    def __init__(
        self, message: str, *, version: int | None, lost: Iterable[Lost], rest: Iterable[str] = ()
    ) -> None:
        super().__init__(message, field="version")
        self.version = version
        self.lost = tuple(lost)
        self.rest = tuple(rest)

    @property
    def last(self) -> Lost | None:
        """The latest of the changes whose author is known."""
        known = [(one.changed_at, one) for one in self.lost if one.changed_at]
        return max(known, key=itemgetter(0))[1] if known else None


@dataclass(frozen=True, slots=True)
class Past:
    """A locked row as it is (`now`, columns), and what became of it since it was `seen`.

    `seen` None stands for whatever is there.
    """

    model: Versioned
    now: Mapping[str, Any]
    seen: Seen | None
    edits: tuple[RowEdit, ...]

    @property
    def version(self) -> int:
        """The row's version."""
        return int(self.now["version"])

    @property
    def is_current(self) -> bool:
        """Whether the row is still as it was seen."""
        return self.seen is None or self.seen.version == self.version

    @property
    def is_ahead(self) -> bool:
        """Whether the version that was named is one that the row never had."""
        return self.seen is not None and self.seen.version > self.version

    @property
    def is_known(self) -> bool:
        """Whether the record accounts for each version since the one that was seen."""
        recorded = {edit.version for edit in self.edits if edit.before and edit.after}
        return self.seen is not None and len(recorded) == self.version - self.seen.version

    @property
    def base(self) -> dict[str, Any]:
        """The columns as they were seen, or as they are where the record does not know."""
        then = dict(self.now)
        for edit in reversed(self.edits if self.is_known else ()):
            old = edit.before or {}
            then |= {name: self._value(name, old[name]) for name in old.keys() & then.keys()}
        return then

    def last_edit(self, name: str) -> RowEdit | None:
        """Return the last recorded edit of a column since it was seen."""
        edits = [edit for edit in self.edits if name in (edit.after or {})]
        return edits[-1] if edits else None

    def _value(self, name: str, recorded: Any) -> Any:  # noqa: ANN401 - a column's value
        """Return a value as the column has it: JSON knows no times, and writes 1 for 1.0."""
        kind = self.model.__table__.c[name].type
        if recorded is not None and isinstance(kind, DateTime):
            return datetime.fromisoformat(recorded)
        if recorded is not None and isinstance(kind, Numeric):
            return Decimal(recorded)
        return recorded


async def look_back(
    session: AsyncSession,
    model: Versioned,
    *,
    ledger_id: int,
    row_id: int,
    now: Mapping[str, Any],
    seen: Seen | None,
) -> Past:
    """Return a row's past since it was seen; the row must be locked, `now` read with the lock."""
    if seen is None or seen.version >= now["version"]:
        return Past(model, now, seen, ())
    edits = await row_edits(
        session,
        ledger_id=ledger_id,
        table=model.__tablename__,
        row_id=row_id,
        since_version=seen.version,
    )
    return Past(model, now, seen, tuple(edits))


async def merge(session: AsyncSession, past: Past, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of `wanted` is to be set, without what stands there already; raises LostEdit."""
    now = past.now
    values = {name: value for name, value in wanted.items() if now[name] != value}
    if past.is_current:
        return values
    if not past.is_known:
        clashing = list(values)
    else:
        base = past.base
        if past.seen and past.seen.whole:
            values = {name: value for name, value in values.items() if value != base[name]}
        clashing = [name for name in values if now[name] != base[name]]
    if clashing or (past.is_ahead and (values or not (past.seen and past.seen.whole))):
        raise await _lost_edit(session, past, clashing, values)
    return values


async def refuse_if_changed(session: AsyncSession, past: Past) -> None:
    """Raise LostEdit, with all that changed, unless the row is as it was seen: for deletions."""
    if past.is_current:
        return
    edited = {name for edit in past.edits for name in edit.after or {}} - _NO_VALUES
    raise await _lost_edit(session, past, sorted(edited & past.now.keys()), {})


async def _lost_edit(
    session: AsyncSession, past: Past, clashing: Iterable[str], values: Mapping[str, Any]
) -> LostEdit:
    """Make the error that tells both values of each column, who changed it, and when."""
    edits = {name: past.last_edit(name) for name in clashing}
    names = await name_actors(session, {edit.actor for edit in edits.values() if edit})
    base = past.base if past.is_known else {}
    lost = [
        Lost(
            field=name,
            theirs=past.now[name],
            yours=values.get(name, UNSET),
            base=base.get(name, UNSET),
            changed_by=names[edit.actor] if edit else None,
            changed_at=edit.at if edit else None,
        )
        for name, edit in edits.items()
    ]
    named = past.seen.version if past.seen else None
    noun = past.model.__name__.lower()
    return LostEdit(
        f"version: this {noun} is at version {past.version} now, not {named}: somebody has"
        " changed it meanwhile; look at it as it is now and try again",
        version=past.version,
        lost=lost,
        rest=[name for name in values if name not in edits],
    )
