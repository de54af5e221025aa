"""All SQL of people: users, their sessions, invitations, and failed sign-ins."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, exists, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger.database import AnyRow
from freshledger.errors import Conflict, NotFound, Unauthenticated
from freshledger.models import Invitation, LoginFailure, Member, Session, User

# Users


async def find_user(session: AsyncSession, *, email: str) -> User | None:
    """Return the user with that email, whatever its case; a disabled one too."""
    query = select(User).where(func.lower(User.email) == func.lower(email.strip()))
    return (await session.execute(query)).scalar_one_or_none()


async def get_user_by_email(session: AsyncSession, *, email: str) -> User:
    """Return the user with that email, a disabled one too; raises NotFound."""
    user = await find_user(session, email=email)
    if user is None:
        raise NotFound(f"there is no user {email}")
    return user


async def get_user(session: AsyncSession, *, user_id: int) -> User:
    """Return a user; raises NotFound."""
    user = await session.get(User, user_id)
    if user is None:
        raise NotFound("there is no such user")
    return user


async def list_users(session: AsyncSession) -> list[AnyRow]:
    """Return all users by email: id, email, name, is_admin, disabled_at, created_at, ledgers."""
    ledgers = select(func.count()).where(Member.user_id == User.id).scalar_subquery()
    query = select(
        User.id, User.email, User.name, User.is_admin, User.disabled_at, User.created_at,
        ledgers.label("ledgers"),
    ).order_by(func.lower(User.email))  # fmt: skip
    return list((await session.execute(query)).all())


async def has_users(session: AsyncSession) -> bool:
    """Tell whether anybody can sign in, or could."""
    return bool((await session.execute(select(exists(select(User.id))))).scalar_one())


async def insert_user(
    session: AsyncSession, *, email: str, name: str, password_hash: str | None, is_admin: bool
) -> int:
    """Add a user, return their id; raises Conflict where the email is taken."""
    values = {"email": email, "name": name, "password_hash": password_hash, "is_admin": is_admin}
    try:
        async with session.begin_nested():
            made = await session.execute(insert(User).values(values).returning(User.id))
            return made.scalar_one()
    except IntegrityError as error:
        raise Conflict(f"there is already a user {email}", field="email") from error


async def update_user(session: AsyncSession, *, user_id: int, **values: Any) -> None:  # noqa: ANN401 - columns
    """Set columns of a user; raises NotFound."""
    query = update(User).where(User.id == user_id).values(**values).returning(User.id)
    if (await session.execute(query)).scalar_one_or_none() is None:
        raise NotFound("there is no such user")


async def update_settings(session: AsyncSession, *, user_id: int, **values: Any) -> None:  # noqa: ANN401 - columns
    """Set what shows on the user's pages: their ETags change."""
    version = User.settings_version + 1
    await update_user(session, user_id=user_id, settings_version=version, **values)


async def update_disabled(session: AsyncSession, *, user_id: int, disabled: bool) -> None:
    """Disable a user or enable them again; raises NotFound."""
    at = func.coalesce(User.disabled_at, func.now()) if disabled else None
    await update_user(session, user_id=user_id, disabled_at=at)


# Sessions


async def insert_session(
    session: AsyncSession,
    *,
    user_id: int,
    password_hash: str,
    token_hash: bytes,
    user_agent: str,
    hours: int,
) -> None:
    """Sign a user in for `hours`, forgetting their expired sessions.

    Raises Unauthenticated where they were disabled, or their password changed, meanwhile: the
    lock lets the other wait, which then ends this session too, or us see what it did.
    """
    await session.execute(
        delete(Session).where(Session.user_id == user_id, Session.expires_at <= func.now())
    )
    same = select(User.id).where(
        User.id == user_id, User.disabled_at.is_(None), User.password_hash == password_hash
    )
    if (await session.execute(same.with_for_update(read=True))).one_or_none() is None:
        raise Unauthenticated("this account has just been changed; sign in again")
    expires_at = func.now() + timedelta(hours=hours)
    values = {"user_id": user_id, "token_hash": token_hash, "user_agent": user_agent}
    await session.execute(insert(Session).values(expires_at=expires_at, **values))


async def list_sessions(session: AsyncSession, *, user_id: int) -> list[AnyRow]:
    """Return the user's live sessions, newest first: id, token_hash, user_agent and its times."""
    query = (
        select(
            Session.id, Session.token_hash, Session.user_agent, Session.created_at,
            Session.expires_at,
        )
        .where(Session.user_id == user_id, Session.expires_at > func.now())
        .order_by(Session.created_at.desc(), Session.id.desc())
    )  # fmt: skip
    return list((await session.execute(query)).all())


async def delete_session(session: AsyncSession, *, user_id: int, session_id: int) -> None:
    """End one of the user's sessions; raises NotFound."""
    query = delete(Session).where(Session.user_id == user_id, Session.id == session_id)
    if (await session.execute(query.returning(Session.id))).one_or_none() is None:
        raise NotFound("this session has already ended")


async def delete_session_of(session: AsyncSession, *, token_hash: bytes) -> None:
    """End the session with that secret, if it still lasts."""
    await session.execute(delete(Session).where(Session.token_hash == token_hash))


async def delete_sessions(
    session: AsyncSession, *, user_id: int, keep: bytes | None = None
) -> None:
    """End all sessions of a user but the one whose hash is `keep`."""
    query = delete(Session).where(Session.user_id == user_id)
    if keep is not None:
        query = query.where(Session.token_hash != keep)
    await session.execute(query)


# Invitations


async def insert_invitation(
    session: AsyncSession, *, token_hash: bytes, email: str | None, is_admin: bool, hours: int
) -> None:
    """Keep a one-time link, in place of an earlier one for that email (None: the set-up)."""
    await delete_invitations(session, email=email)
    await session.execute(
        insert(Invitation).values(
            token_hash=token_hash,
            email=email,
            is_admin=is_admin,
            expires_at=func.now() + timedelta(hours=hours),
        )
    )


async def find_invitation(session: AsyncSession, *, token_hash: bytes) -> AnyRow | None:
    """Return id, email and is_admin of the invitation, if it can still be used."""
    query = select(Invitation.id, Invitation.email, Invitation.is_admin).where(
        Invitation.token_hash == token_hash, *_usable()
    )
    return (await session.execute(query)).one_or_none()


async def use_invitation(session: AsyncSession, *, invitation_id: int) -> None:
    """Use an invitation up; of two who come at once the second gets NotFound."""
    query = update(Invitation).where(Invitation.id == invitation_id, *_usable())
    used = query.values(used_at=func.now()).returning(Invitation.id)
    if (await session.execute(used)).one_or_none() is None:
        raise NotFound("this link was used already, or has expired; ask for a new one")


async def list_invitations(session: AsyncSession) -> list[AnyRow]:
    """Return the invitations that can still be used, newest first: id, email, is_admin, expires_at.

    The set-up link is none of them.
    """
    query = (
        select(Invitation.id, Invitation.email, Invitation.is_admin, Invitation.expires_at)
        .where(Invitation.email.is_not(None), *_usable())
        .order_by(Invitation.created_at.desc(), Invitation.id.desc())
    )
    return list((await session.execute(query)).all())


async def delete_invitation(session: AsyncSession, *, invitation_id: int) -> None:
    """Take an invitation back; raises NotFound."""
    query = delete(Invitation).where(Invitation.id == invitation_id, *_usable())
    if (await session.execute(query.returning(Invitation.id))).one_or_none() is None:
        raise NotFound("this invitation was used already, or has expired")


async def delete_invitations(session: AsyncSession, *, email: str | None) -> None:
    """Take back the links for that email that nobody used; None: the set-up links."""
    same = (
        Invitation.email.is_(None)
        if email is None
        else func.lower(Invitation.email) == func.lower(email)
    )
    await session.execute(delete(Invitation).where(same, Invitation.used_at.is_(None)))


def _usable() -> tuple[Any, ...]:
    return (Invitation.used_at.is_(None), Invitation.expires_at > func.now())


# Failed sign-ins


async def lock_subjects(session: AsyncSession, *, subjects: list[bytes]) -> None:
    """Let one attempt after the other count for the same subjects, until the transaction ends."""
    for subject in sorted(subjects):
        key = int.from_bytes(subject[:8], signed=True)
        await session.execute(select(func.pg_advisory_xact_lock(key)))


async def count_failures(
    session: AsyncSession, *, subject: bytes, within: timedelta
) -> tuple[int, datetime | None]:
    """Return how many failures there were within that time, and when the oldest of them was."""
    query = select(func.count(), func.min(LoginFailure.at)).where(
        LoginFailure.subject == subject, LoginFailure.at > func.now() - within
    )
    count, oldest = (await session.execute(query)).one()
    return count, oldest


async def insert_failures(
    session: AsyncSession, *, subjects: list[bytes], forget_after: timedelta
) -> list[int]:
    """Write a failure down for each subject and return the ids; all old ones are forgotten."""
    await session.execute(delete(LoginFailure).where(LoginFailure.at < func.now() - forget_after))
    rows = [{"subject": subject} for subject in subjects]
    made = await session.execute(insert(LoginFailure).returning(LoginFailure.id), rows)
    return list(made.scalars())


async def delete_failures(session: AsyncSession, *, subject: bytes, ids: list[int]) -> None:
    """Forget all failures of a subject, and those with these ids."""
    await session.execute(
        delete(LoginFailure).where((LoginFailure.subject == subject) | LoginFailure.id.in_(ids))
    )
