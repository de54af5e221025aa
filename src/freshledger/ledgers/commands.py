"""What people do about ledgers: make, name, share, leave, archive, delete, and tokens for them."""

import secrets
from datetime import UTC, datetime, timedelta

from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger import named
from freshledger.changelog import find_last_edit, name_actors
from freshledger.database import AnyRow
from freshledger.errors import Conflict, Forbidden, Invalid, NotFound
from freshledger.ledgers import repository, tokens
from freshledger.merging import Lost, LostEdit
from freshledger.web.context import ROLES, TOKEN_PREFIX, hash_secret

SCOPES = ("read", "write")
LONGEST_TOKEN_DAYS = 3650
LONGEST_ID = 18
"""Digits of an id; more are no bigint."""


async def create_ledger(
    session: AsyncSession, *, name: str, owner_id: int, field: str = "name"
) -> int:
    """Make a ledger with one owner and return its id; raises Invalid for a bad name."""
    ledger_id = await repository.insert_ledger(session, name=named.clean_name(name, field=field))
    await repository.insert_member(session, ledger_id=ledger_id, user_id=owner_id, role="owner")
    return ledger_id


async def make_first_ledger(session: AsyncSession, *, user_id: int, name: str) -> None:
    """Give the first user the ledgers that have no member, the demo's, and one of that name.

    The name may only be empty where there are others.
    """
    adopted = await repository.adopt_ledgers(session, user_id=user_id)
    if name.strip() or not adopted:
        await create_ledger(session, name=name, owner_id=user_id, field="ledger_name")


async def get_ledger(session: AsyncSession, *, user_id: int, ledger_id: int) -> AnyRow:
    """Return one of a user's ledgers with its counts and their role; raises NotFound."""
    rows = await repository.list_ledgers(session, user_id=user_id, ledger_id=ledger_id)
    if not rows:
        raise NotFound("there is no such ledger")
    return rows[0]


async def find_by_name(session: AsyncSession, *, ledger: str) -> int:
    """Return the id of the ledger with that name or, where none has it, that id.

    For the command line. Raises NotFound, and Conflict where several have the name.
    """
    found = await repository.find_ledgers(session, name=ledger)
    if len(found) > 1:
        ids = ", ".join(str(one) for one in found)
        raise Conflict(f"several ledgers are named {ledger}; give the id instead: {ids}")
    if found:
        return found[0]
    is_id = ledger.isascii() and ledger.isdigit() and len(ledger) <= LONGEST_ID
    if is_id and await repository.has_ledger(session, ledger_id=int(ledger)):
        return int(ledger)
    raise NotFound(f"there is no ledger {ledger}; freshledger ledger list shows them")


async def rename_ledger(session: AsyncSession, *, ledger_id: int, name: str, was: str) -> None:
    """Give a ledger another name than it `was` seen with; raises Invalid.

    Raises LostEdit where somebody else gave it a third one meanwhile.
    """
    name, was = named.clean_name(name), " ".join(was.split())
    now = await repository.lock_name(session, ledger_id=ledger_id)
    if name in {now, was}:
        return
    if " ".join(now.split()) != was:
        raise await _lost_name(session, ledger_id, Lost("name", theirs=now, yours=name, base=was))
    await repository.update_ledger(session, ledger_id=ledger_id, name=name)


async def _lost_name(session: AsyncSession, ledger_id: int, lost: Lost) -> LostEdit:
    edit = await find_last_edit(
        session, ledger_id=ledger_id, table="ledgers", row_id=ledger_id, column="name"
    )
    if edit:
        actor, at = edit
        names = await name_actors(session, {actor})
        lost = structs.replace(lost, changed_by=names[actor], changed_at=at)
    message = "name: somebody has renamed this ledger meanwhile; look at it as it is now"
    return LostEdit(message, version=None, lost=[lost])


async def delete_ledger(session: AsyncSession, *, ledger_id: int, name: str, typed: str) -> None:
    """Delete a ledger with everything in it; raises Invalid unless its name was typed."""
    if typed.strip() != name.strip():
        raise Invalid("this is not the ledger's name; nothing was deleted", field="typed_name")
    await repository.delete_ledger(session, ledger_id=ledger_id)


async def add_member(session: AsyncSession, *, ledger_id: int, email: str, role: str) -> None:
    """Share a ledger with somebody who has an account; raises Invalid naming the field."""
    _check_role(role)
    email = email.strip()
    user_id = await repository.find_user_id(session, email=email)
    if user_id is None:
        raise Invalid(
            f"nobody with the email {email} has an account here; ask an administrator to invite"
            " them, then add them again",
            field="email",
        )
    added = await repository.insert_member(session, ledger_id=ledger_id, user_id=user_id, role=role)
    if not added:
        raise Invalid(f"{email} is a member already; change the role below", field="email")


async def change_role(
    session: AsyncSession, *, ledger_id: int, user_id: int, role: str, by: int
) -> None:
    """Give a member another role; raises Conflict where no owner would be left."""
    _check_role(role)
    owners = await _lock_owners(session, ledger_id, by)
    if role != "owner":
        _keep_an_owner(owners, user_id)
    await repository.update_member(session, ledger_id=ledger_id, user_id=user_id, role=role)


async def remove_member(session: AsyncSession, *, ledger_id: int, user_id: int, by: int) -> None:
    """Remove a member, or leave: their tokens end too; raises Conflict for the last owner."""
    owners = await repository.lock_owners(session, ledger_id=ledger_id)
    if by != user_id and by not in owners:
        raise Forbidden("only an owner can remove members, and you are none any more")
    _keep_an_owner(owners, user_id)
    await tokens.revoke_tokens(session, ledger_id=ledger_id, user_id=user_id)
    await repository.delete_member(session, ledger_id=ledger_id, user_id=user_id)


async def create_token(
    session: AsyncSession, *, ledger_id: int, user_id: int, name: str, scope: str, days: int | None
) -> str:
    """Return a new token, which only its holder can know from now on; None days never expire."""
    if scope not in SCOPES:
        raise Invalid("a token's scope is read or write", field="scope")
    if days is not None and not 1 <= days <= LONGEST_TOKEN_DAYS:
        raise Invalid(f"a token lasts 1 to {LONGEST_TOKEN_DAYS} days", field="days")
    role = await repository.find_role(session, ledger_id=ledger_id, user_id=user_id)
    if role is None:
        raise NotFound("this user is no member of the ledger")
    if scope == "write" and role == "viewer":
        raise Forbidden("a viewer changes nothing, and neither can their token; take scope read")
    token = f"{TOKEN_PREFIX}{ledger_id}_{secrets.token_urlsafe(32)}"
    await tokens.insert_token(
        session,
        ledger_id=ledger_id,
        user_id=user_id,
        name=named.clean_name(name),
        scope=scope,
        token_hash=hash_secret(token),
        expires_at=datetime.now(UTC) + timedelta(days=days) if days else None,
    )
    return token


def days_of(text: str) -> int | None:
    """Read how many days a token lasts, empty for no end; raises Invalid."""
    days = text.strip()
    if days and not (days.isascii() and days.isdigit() and len(days) <= len("3650")):
        raise Invalid(f"a token lasts 1 to {LONGEST_TOKEN_DAYS} days", field="days")
    return int(days) if days else None


async def _lock_owners(session: AsyncSession, ledger_id: int, by: int) -> set[int]:
    owners = await repository.lock_owners(session, ledger_id=ledger_id)
    if by not in owners:
        raise Forbidden("only an owner can do this, and you are none any more")
    return owners


def _keep_an_owner(owners: set[int], user_id: int) -> None:
    if owners == {user_id}:
        raise Conflict("this is the only owner; make another member an owner first")


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise Invalid(f"a role is one of {', '.join(ROLES)}", field="role")
