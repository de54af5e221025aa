"""Reads the record of changes: what became of one row, and who it was.

`changes` says per statement what it did, the rows in the order of `ids`; `revisions` gives
the transaction its version and time. A change that was written down without its rows (an
import's, a foreign statement over 10,000 rows) says nothing of a single row: versions of
the row are then missing here, and only whoever counts them notices.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, BigInteger, ColumnElement, and_, case, cast, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger.database import PROGRAM, AnySelect
from freshledger.models import Change, Revision, User

_PERSON = re.compile(r"user:([0-9]{1,18})")
"""How the record names a person, by their id; other actors are database users."""


@dataclass(frozen=True, slots=True)
class RowEdit:
    """What one statement did to a row; `version` is the row's after it, `at` in UTC.

    `before` and `after` hold the columns that differ, as JSON has them; `before` is None
    where the row was inserted, and then `after` is the whole row. Where it was deleted
    `after` is None, `before` the whole row, and `version` one more than its last.
    """

    version: int
    ledger_version: int
    at: datetime
    actor: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


async def row_edits(
    session: AsyncSession, *, ledger_id: int, table: str, row_id: int, since_version: int
) -> list[RowEdit]:
    """Return what is recorded of a row after its version `since_version`, oldest first.

    Only of tables whose rows have a version, and only of committed transactions.
    """
    found = await session.execute(_edits(ledger_id, table, row_id, since_version))
    return [RowEdit(*row) for row in found]


def _edits(ledger_id: int, table: str, row_id: int, since_version: int) -> AnySelect:
    place = func.array_position(Change.ids, row_id) - 1
    before, after = Change.before.op("->")(place), Change.after.op("->")(place)
    version = case(
        (Change.operation == "D", _version(before) + 1),
        else_=_version(after),
    )
    edits = (
        select(
            version.label("version"),
            Revision.version.label("ledger_version"),
            Revision.at,
            Change.actor,
            before.label("before"),
            after.label("after"),
            Change.part,
        )
        .join(Revision, _same_commit())
        .where(*_of_row(ledger_id, table, row_id))
        .subquery("edits")
    )
    shown = [column for column in edits.c if column.name != "part"]
    return (
        select(*shown)
        .where(edits.c.version > since_version)
        .order_by(edits.c.ledger_version, edits.c.part)
    )


def _same_commit() -> ColumnElement[bool]:
    return and_(Revision.ledger_id == Change.ledger_id, Revision.tx == Change.tx)


def _of_row(ledger_id: int, table: str, row_id: int) -> tuple[ColumnElement[bool], ...]:
    return (
        Change.ledger_id == ledger_id,
        Change.table_name == table,
        Change.ids.contains(cast(literal([row_id]), ARRAY(BigInteger))),
    )


def _version(row: ColumnElement[Any]) -> ColumnElement[int]:
    return cast(row.op("->>")("version"), BigInteger)


async def find_last_edit(
    session: AsyncSession, *, ledger_id: int, table: str, row_id: int, column: str
) -> tuple[str, datetime] | None:
    """Return who last changed a column of a row, and when in UTC; also where rows have no version."""
    after = Change.after.op("->")(func.array_position(Change.ids, row_id) - 1)
    statement = (
        select(Change.actor, Revision.at)
        .join(Revision, _same_commit())
        .where(*_of_row(ledger_id, table, row_id), Change.operation == "U", after.has_key(column))
        .order_by(Revision.version.desc(), Change.part.desc())
        .limit(1)
    )
    row = (await session.execute(statement)).one_or_none()
    return (row.actor, row.at) if row else None


async def name_actors(session: AsyncSession, actors: Iterable[str]) -> dict[str, str]:
    """Return what people call each actor: a person's name, 'freshledger', or 'psql user postgres'."""
    known = set(actors)
    people = {_user_id(actor): actor for actor in known if _user_id(actor) is not None}
    names = dict.fromkeys(people.values(), "somebody whose account is gone")
    names[PROGRAM] = "freshledger"
    if people:
        query = select(User.id, User.name, User.email).where(User.id.in_(people))
        for row in await session.execute(query):
            names[people[row.id]] = row.name or row.email
    return {actor: names.get(actor, f"psql user {actor}") for actor in known}


def _user_id(actor: str) -> int | None:
    found = _PERSON.fullmatch(actor)
    return int(found[1]) if found else None
