"""What wallets, contacts and labels share: a name that is unique in the ledger, and a version.

Two names are the same whatever their case. `version` is the row's own: an edit says which
one it has seen, and is merged with what others have changed since, or refused.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger.errors import Conflict, Invalid, NotFound
from freshledger.merging import Past, Seen, look_back, merge, refuse_if_changed
from freshledger.models import Contact, Head, Label, Wallet
from freshledger.text import fit_text

MAX_NAME = 100
MAX_NOTE = 2000
MAX_ID = 2**63 - 1
_FIXED = {"ledger_id", "id", "created_at"}

Named = type[Wallet] | type[Contact] | type[Label]


_TAKE_TIME = select(func.set_config("statement_timeout", "0", True))  # noqa: FBT003 - set_config's is_local


def clean_name(text: str, *, field: str = "name") -> str:
    """Return a name on one line; raises Invalid if nothing is left, or over 100 characters."""
    name = fit_text(" ".join(text.split()), field=field, limit=MAX_NAME)
    if not name:
        raise Invalid(f"{field}: give it a name", field=field)
    return " ".join(name.split())


def clean_note(text: str, *, field: str = "note") -> str:
    """Return a note, its lines kept; raises Invalid over 2,000 characters."""
    return fit_text(text, field=field, limit=MAX_NOTE, lines=True)


def named_values(*, name: str | None, note: str | None) -> dict[str, str]:
    """Return the columns that are given, cleaned; raises Invalid if there is none."""
    values = {}
    if name is not None:
        values["name"] = clean_name(name)
    if note is not None:
        values["note"] = clean_note(note)
    if not values:
        raise Invalid("name: nothing to change; give a name or a note", field="name")
    return values


async def insert_named(
    session: AsyncSession, model: Named, *, ledger_id: int, values: Mapping[str, Any]
) -> int:
    """Insert a row and return its id; raises Conflict where its name is taken."""
    statement = insert(model).values(ledger_id=ledger_id, **values).returning(model.id)
    async with _unique(session, model, ledger_id, values.get("name", "")):
        made = await session.execute(statement)
        return made.scalar_one()


async def update_named(
    session: AsyncSession,
    model: Named,
    *,
    ledger_id: int,
    row_id: int,
    seen: Seen | None,
    values: Mapping[str, Any],
) -> None:
    """Set columns of a row; raises NotFound, Conflict, or LostEdit.

    `seen` is what the caller has seen; None overwrites whatever is there.
    """
    past = await _lock(session, model, ledger_id, row_id, seen)
    edited = await merge(session, past, values)
    if not edited:
        return
    statement = update(model).where(*_key(model, ledger_id, row_id)).values(**edited)
    async with _unique(session, model, ledger_id, edited.get("name", "")):
        await session.execute(statement)


async def delete_named(
    session: AsyncSession, model: Named, *, ledger_id: int, row_id: int, seen: Seen | None
) -> None:
    """Delete a row with all that hangs on it; raises NotFound, or LostEdit if it has changed.

    What hangs on a large wallet takes minutes to delete, longer than statement_timeout.
    """
    await session.execute(_TAKE_TIME)
    past = await _lock(session, model, ledger_id, row_id, seen, leaving=True)
    await refuse_if_changed(session, past)
    await session.execute(delete(model).where(*_key(model, ledger_id, row_id)))


async def lock_named(session: AsyncSession, model: Named, *, ledger_id: int, row_id: int) -> None:
    """Lock a row that is to be deleted: nobody can point to it any more; raises NotFound."""
    statement = select(model.id).where(*_key(model, ledger_id, row_id)).with_for_update()
    if (await session.execute(statement)).scalar_one_or_none() is None:
        raise _not_found(model)


async def hold_named(session: AsyncSession, model: Named, *, ledger_id: int, row_id: int) -> None:
    """Keep a row from being deleted until the end of the transaction; raises NotFound."""
    statement = select(model.id).where(*_key(model, ledger_id, row_id))
    statement = statement.with_for_update(read=True, key_share=True)
    if (await session.execute(statement)).scalar_one_or_none() is None:
        raise _not_found(model)


async def lock_pair(
    session: AsyncSession, model: Named, *, ledger_id: int, gone: int, kept: int
) -> None:
    """Lock two rows that are to be merged, the lower id first; raises NotFound or Invalid.

    Nobody can point to the one that goes any more. The one that is kept can still be pointed
    to: who does so may hold a row that the merge waits for.
    """
    if gone == kept:
        raise Invalid(f"into: choose another {_noun(model)} than this one", field="into")
    await session.execute(_TAKE_TIME)
    for row_id in sorted((gone, kept)):
        statement = select(model.id).where(*_key(model, ledger_id, row_id))
        statement = statement.with_for_update(key_share=row_id == kept)
        if (await session.execute(statement)).scalar_one_or_none() is None:
            raise _not_found(model)


async def ledger_version(session: AsyncSession, *, ledger_id: int) -> int:
    """Return the ledger's version: of what the same snapshot shows."""
    statement = select(Head.version).where(Head.ledger_id == ledger_id)
    return (await session.execute(statement)).scalar_one()


@asynccontextmanager
async def _unique(
    session: AsyncSession, model: Named, ledger_id: int, name: str
) -> AsyncIterator[None]:
    """Turn a clash of names into a Conflict that names the one that is there."""
    try:
        async with session.begin_nested():
            yield
    except IntegrityError as error:
        if f"uq_{model.__tablename__}_name" not in str(error.orig):
            raise
        query = select(model.name).where(
            model.ledger_id == ledger_id, func.lower(model.name) == func.lower(name)
        )
        there = (await session.execute(query)).scalar_one_or_none() or name
        raise Conflict(
            f"name: there is already a {_noun(model)} named “{there}”", field="name"
        ) from error


async def _lock(
    session: AsyncSession,
    model: Named,
    ledger_id: int,
    row_id: int,
    seen: Seen | None,
    *,
    leaving: bool = False,
) -> Past:
    """Lock a row for an edit or, `leaving`, for its deletion; return it with its past."""
    columns = [column for column in model.__table__.c if column.name not in _FIXED]
    statement = select(*columns).where(*_key(model, ledger_id, row_id))
    statement = statement.with_for_update(key_share=not leaving)
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        raise _not_found(model)
    return await look_back(
        session, model, ledger_id=ledger_id, row_id=row_id, now=row._asdict(), seen=seen
    )


def _key(model: Named, ledger_id: int, row_id: int) -> tuple[Any, Any]:
    if not 0 < row_id <= MAX_ID:
        raise _not_found(model)
    return (model.ledger_id == ledger_id, model.id == row_id)


def _not_found(model: Named) -> NotFound:
    return NotFound(f"there is no such {_noun(model)}")


def _noun(model: Named) -> str:
    return model.__name__.lower()
