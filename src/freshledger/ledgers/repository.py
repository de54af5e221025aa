"""All SQL of ledgers and their members."""

from typing import Any

from sqlalchemy import ScalarSelect, and_, delete, exists, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger.database import AnyRow, AnySelect
from freshledger.errors import NotFound
from freshledger.models import Contact, Head, Label, Ledger, Member, Transaction, User, Wallet

COUNTED = {
    "transactions": Transaction,
    "wallets": Wallet,
    "contacts": Contact,
    "labels": Label,
}
"""What a ledger's counts are of; each is a column of that name."""


async def list_ledgers(
    session: AsyncSession, *, user_id: int | None = None, ledger_id: int | None = None
) -> list[AnyRow]:
    """Return ledgers by name: id, name, archived_at, created_at, version and the counts.

    With `user_id` only theirs, and their role; with `ledger_id` only that one.
    """
    query = _ledgers()
    if user_id is not None:
        mine = and_(Member.ledger_id == Ledger.id, Member.user_id == user_id)
        query = query.add_columns(Member.role).join(Member, mine)
    if ledger_id is not None:
        query = query.where(Ledger.id == ledger_id)
    rows = await session.execute(query.order_by(func.lower(Ledger.name), Ledger.id))
    return list(rows.all())


async def find_ledgers(session: AsyncSession, *, name: str) -> list[int]:
    """Return the ids of the ledgers with exactly that name: names are not unique."""
    query = select(Ledger.id).where(Ledger.name == name).order_by(Ledger.id)
    return list((await session.execute(query)).scalars())


async def has_ledger(session: AsyncSession, *, ledger_id: int) -> bool:
    """Tell whether there is such a ledger."""
    found = select(exists().where(Ledger.id == ledger_id))
    return bool((await session.execute(found)).scalar_one())


async def insert_ledger(session: AsyncSession, *, name: str) -> int:
    """Add a ledger without members and return its id."""
    made = await session.execute(insert(Ledger).values(name=name).returning(Ledger.id))
    return made.scalar_one()


async def adopt_ledgers(session: AsyncSession, *, user_id: int) -> int:
    """Make a user the owner of all ledgers that have no member; returns how many."""
    orphans = select(Ledger.id, literal(user_id), literal("owner")).where(
        ~exists().where(Member.ledger_id == Ledger.id)
    )
    columns = ["ledger_id", "user_id", "role"]
    made = insert(Member).from_select(columns, orphans).returning(Member.ledger_id)
    return len((await session.execute(made)).all())


async def lock_name(session: AsyncSession, *, ledger_id: int) -> str:
    """Return a ledger's name, which stays so until the end of the transaction; raises NotFound."""
    query = select(Ledger.name).where(Ledger.id == ledger_id).with_for_update(key_share=True)
    name = (await session.execute(query)).scalar_one_or_none()
    if name is None:
        raise NotFound("there is no such ledger")
    return name


async def update_ledger(session: AsyncSession, *, ledger_id: int, name: str) -> None:
    """Rename a ledger."""
    await session.execute(update(Ledger).where(Ledger.id == ledger_id).values(name=name))


async def update_archived(session: AsyncSession, *, ledger_id: int, archived: bool) -> None:
    """Archive a ledger, or reopen it."""
    at = func.coalesce(Ledger.archived_at, func.now()) if archived else None
    await session.execute(update(Ledger).where(Ledger.id == ledger_id).values(archived_at=at))


async def delete_ledger(session: AsyncSession, *, ledger_id: int) -> None:
    """Delete a ledger with everything in it; a large one takes minutes, not statement_timeout."""
    await session.execute(select(func.set_config("statement_timeout", "0", True)))  # noqa: FBT003 - set_config's is_local
    await session.execute(delete(Ledger).where(Ledger.id == ledger_id))


# Members


async def list_members(session: AsyncSession, *, ledger_id: int) -> list[AnyRow]:
    """Return a ledger's members by name: user_id, email, name, role, disabled_at, created_at."""
    query = (
        select(
            Member.user_id, User.email, User.name, Member.role, User.disabled_at, Member.created_at
        )
        .join(User, User.id == Member.user_id)
        .where(Member.ledger_id == ledger_id)
        .order_by(func.lower(User.name), func.lower(User.email))
    )
    return list((await session.execute(query)).all())


async def find_user_id(session: AsyncSession, *, email: str) -> int | None:
    """Return the id of the user with that email who may sign in, or None."""
    query = select(User.id).where(
        func.lower(User.email) == func.lower(email), User.disabled_at.is_(None)
    )
    return (await session.execute(query)).scalar_one_or_none()


async def find_role(session: AsyncSession, *, ledger_id: int, user_id: int) -> str | None:
    """Return a user's role in a ledger, None for strangers."""
    query = select(Member.role).where(Member.ledger_id == ledger_id, Member.user_id == user_id)
    return (await session.execute(query)).scalar_one_or_none()


async def lock_owners(session: AsyncSession, *, ledger_id: int) -> set[int]:
    """Return the owners who may sign in; they stay owners until the transaction ends.

    Whoever changes an owner's role takes this lock first, and so sees what others did.
    """
    query = (
        select(Member.user_id)
        .join(User, User.id == Member.user_id)
        .where(Member.ledger_id == ledger_id, Member.role == "owner", User.disabled_at.is_(None))
        .order_by(Member.user_id)
        .with_for_update(of=Member)
    )
    return set((await session.execute(query)).scalars())


async def insert_member(session: AsyncSession, *, ledger_id: int, user_id: int, role: str) -> bool:
    """Add a member; False where they are one already, whose role stays."""
    query = upsert(Member).values(ledger_id=ledger_id, user_id=user_id, role=role)
    added = query.on_conflict_do_nothing().returning(Member.user_id)
    return (await session.execute(added)).one_or_none() is not None


async def update_member(session: AsyncSession, *, ledger_id: int, user_id: int, role: str) -> None:
    """Give a member another role; raises NotFound."""
    same = (Member.ledger_id == ledger_id, Member.user_id == user_id)
    query = update(Member).where(*same).values(role=role).returning(Member.user_id)
    if (await session.execute(query)).one_or_none() is None:
        raise NotFound("there is no such member")


async def delete_member(session: AsyncSession, *, ledger_id: int, user_id: int) -> None:
    """Remove a member; raises NotFound."""
    same = (Member.ledger_id == ledger_id, Member.user_id == user_id)
    query = delete(Member).where(*same).returning(Member.user_id)
    if (await session.execute(query)).one_or_none() is None:
        raise NotFound("there is no such member")


def _ledgers() -> AnySelect:
    counts = [_count(model).label(name) for name, model in COUNTED.items()]
    members = _count(Member).label("members")
    return select(
        Ledger.id, Ledger.name, Ledger.archived_at, Ledger.created_at, Head.version,
        *counts, members,
    ).join(Head, Head.ledger_id == Ledger.id)  # fmt: skip


def _count(model: Any) -> ScalarSelect[int]:  # noqa: ANN401 - any table of a ledger
    return (
        select(func.count())
        .select_from(model)
        .where(model.ledger_id == Ledger.id)
        .correlate(Ledger)
        .scalar_subquery()
    )
