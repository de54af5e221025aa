"""What people do about accounts: set up, invite, sign in, change a password, disable."""

import re
import secrets
from dataclasses import dataclass
from zoneinfo import available_timezones

from sqlalchemy.ext.asyncio import AsyncSession

from freshledger import named
from freshledger.accounts import repository
from freshledger.accounts.attempts import attempt
from freshledger.accounts.passwords import (
    check_new_password,
    hash_password,
    needs_rehash,
    verify_password,
)
from freshledger.database import AnyRow, Database
from freshledger.errors import Conflict, Invalid, NotFound, Unauthenticated
from freshledger.ledgers import commands as ledgers
from freshledger.web.context import act_as, hash_secret

SETUP_HOURS = 24
INVITATION_HOURS = 24 * 7
LONGEST_AGENT = 300
THEMES = ("auto", "light", "dark")
PAGE_SIZES = ("25", "50", "100", "200", "500")
_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]{1,189}")


@dataclass(frozen=True, slots=True)
class Browser:
    """Where a sign-in comes from: its IP address and User-Agent; `hours` is how long it lasts."""

    address: str
    agent: str
    hours: int


async def setup_link(session: AsyncSession, base_url: str) -> str | None:
    """Return a new one-time link that makes the first user, or None where there is a user.

    It replaces the links of earlier starts. Whoever has it becomes the administrator.
    """
    if await repository.has_users(session):
        return None
    secret = secrets.token_urlsafe(32)
    await repository.insert_invitation(
        session, token_hash=hash_secret(secret), email=None, is_admin=True, hours=SETUP_HOURS
    )
    return f"{base_url.rstrip('/')}/setup/{secret}"


async def invite(session: AsyncSession, *, email: str, is_admin: bool) -> str:
    """Return the secret of a one-time link for that email, in place of an earlier one.

    Raises Conflict where they have an account.
    """
    email = check_email(email)
    if await repository.find_user(session, email=email):
        raise Conflict(f"{email} has an account already", field="email")
    secret = secrets.token_urlsafe(32)
    await repository.insert_invitation(
        session,
        token_hash=hash_secret(secret),
        email=email,
        is_admin=is_admin,
        hours=INVITATION_HOURS,
    )
    return secret


@dataclass(frozen=True, slots=True)
class Choices:
    """The settings page's form, as it came."""

    name: str
    time_zone: str
    theme: str
    page_size: str


@dataclass(frozen=True, slots=True)
class Newcomer:
    """What the set-up page asks for; `email` counts only where the link names none."""

    email: str
    name: str
    password: str
    ledger_name: str


async def find_invitation(session: AsyncSession, *, secret: str) -> AnyRow | None:
    """Return the invitation with that secret, if it can still be used."""
    return await repository.find_invitation(session, token_hash=hash_secret(secret))


async def accept_invitation(
    session: AsyncSession, *, invitation: AnyRow, newcomer: Newcomer, browser: Browser
) -> str:
    """Make the link's user, with a first ledger at the set-up; return their session's secret.

    Works once: of two who use the link at the same time the second gets NotFound.
    """
    is_setup = invitation.email is None
    email = invitation.email or check_email(newcomer.email)
    check_new_password(newcomer.password, email=email)
    hashed = await hash_password(newcomer.password)
    await repository.use_invitation(session, invitation_id=invitation.id)
    if is_setup and await repository.has_users(session):
        raise NotFound("this freshledger has been set up already; sign in")
    user_id = await _make_user(session, email, newcomer.name, hashed, is_admin=invitation.is_admin)
    if is_setup:
        await act_as(session, user_id)
        await ledgers.make_first_ledger(session, user_id=user_id, name=newcomer.ledger_name)
    return await _open_session(session, user_id, hashed, browser)


async def create_user(
    session: AsyncSession, *, email: str, name: str, password: str, is_admin: bool
) -> int:
    """Make a user who can sign in at once; returns their id."""
    email = check_email(email)
    check_new_password(password, email=email)
    hashed = await hash_password(password)
    return await _make_user(session, email, name, hashed, is_admin=is_admin)


async def sign_in(
    database: Database, session: AsyncSession, *, email: str, password: str, browser: Browser
) -> str:
    """Return the secret of a new session.

    Raises Unauthenticated where email and password do not belong together or the user is
    disabled, without telling which; TooMany after too many failures.
    """
    await session.close()  # hashing and counting hold no connection; the next statement takes one
    async with attempt(database, email=email, address=browser.address) as this:
        async with database.read() as reading:
            user = await repository.find_user(reading, email=email)
        stored = user.password_hash if user else None
        right = await verify_password(stored, password)
        if user is None or stored is None or not right or user.disabled_at:
            raise Unauthenticated("this email and password do not belong together")
        this.succeeded()
    secret = await _open_session(session, user.id, stored, browser)
    if needs_rehash(stored):
        hashed = await hash_password(password)
        await repository.update_user(session, user_id=user.id, password_hash=hashed)
    return secret


async def confirm_password(
    database: Database, session: AsyncSession, *, user_id: int, password: str, address: str
) -> None:
    """Raise Invalid unless this is the user's password; it counts like a sign-in's attempt."""
    user = await repository.get_user(session, user_id=user_id)
    await session.close()
    async with attempt(database, email=user.email, address=address) as this:
        if not await verify_password(user.password_hash, password):
            raise Invalid("this is not your present password", field="current")
        this.succeeded()


async def change_password(
    session: AsyncSession, *, user_id: int, password: str, session_secret: str | None = None
) -> None:
    """Set another password and end the user's sessions, except the one with that secret."""
    user = await repository.get_user(session, user_id=user_id)
    check_new_password(password, email=user.email)
    hashed = await hash_password(password)
    await repository.update_user(session, user_id=user_id, password_hash=hashed)
    keep = hash_secret(session_secret) if session_secret else None
    await repository.delete_sessions(session, user_id=user_id, keep=keep)


async def disable_user(session: AsyncSession, *, user_id: int) -> None:
    """Let a user sign in no more: their sessions end, and their tokens are refused, at once."""
    await repository.update_disabled(session, user_id=user_id, disabled=True)
    await repository.delete_sessions(session, user_id=user_id)


async def save_settings(session: AsyncSession, *, user_id: int, chosen: Choices) -> None:
    """Save how a user wants their pages; raises Invalid naming the field."""
    if chosen.time_zone not in available_timezones():
        raise Invalid(
            "choose a time zone from the list, for example Europe/Berlin", field="time_zone"
        )
    if chosen.theme not in THEMES:
        raise Invalid(f"a theme is one of {', '.join(THEMES)}", field="theme")
    if chosen.page_size not in PAGE_SIZES:
        raise Invalid(f"rows on a page: one of {', '.join(PAGE_SIZES)}", field="page_size")
    await repository.update_settings(
        session,
        user_id=user_id,
        name=clean_name(chosen.name),
        time_zone=chosen.time_zone,
        theme=chosen.theme,
        page_size=int(chosen.page_size),
    )


def check_email(text: str) -> str:
    """Return the address without the spaces around it; raises Invalid where it is none."""
    email = text.strip()
    if not _EMAIL.fullmatch(email):
        raise Invalid("this is no email address; one looks like ann@example.org", field="email")
    return email


def clean_name(text: str) -> str:
    """Return a person's name on one line, perhaps empty; raises Invalid where it is too long."""
    return named.clean_name(text) if text.strip() else ""


async def _make_user(
    session: AsyncSession, email: str, name: str, password_hash: str, *, is_admin: bool
) -> int:
    user_id = await repository.insert_user(
        session,
        email=email,
        name=clean_name(name),
        password_hash=password_hash,
        is_admin=is_admin,
    )
    await repository.delete_invitations(session, email=None)
    await repository.delete_invitations(session, email=email)
    return user_id


async def _open_session(
    session: AsyncSession, user_id: int, password_hash: str, browser: Browser
) -> str:
    """Sign in with a new secret, never one that the browser had before."""
    secret = secrets.token_urlsafe(32)
    await repository.insert_session(
        session,
        user_id=user_id,
        password_hash=password_hash,
        token_hash=hash_secret(secret),
        user_agent=browser.agent[:LONGEST_AGENT],
        hours=browser.hours,
    )
    return secret
