"""All SQL of API tokens, and when each was last used."""

from datetime import datetime

from sqlalchemy import and_, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger.database import AnyRow
from freshledger.errors import NotFound
from freshledger.models import Token, TokenUse, User

USE_INTERVAL = 60
"""Seconds for which a token's last use is not written again."""


async def list_tokens(
    session: AsyncSession, *, ledger_id: int, user_id: int | None
) -> list[AnyRow]:
    """Return the tokens that were not revoked, the newest first, of everybody or one user.

    Columns: id, name, scope, created_at, expires_at, expired, last_used_at, user_id, email, user.
    """
    last_use = and_(TokenUse.ledger_id == Token.ledger_id, TokenUse.token_id == Token.id)
    query = (
        select(
            Token.id, Token.name, Token.scope, Token.created_at, Token.expires_at,
            (Token.expires_at <= func.now()).label("expired"), TokenUse.last_used_at,
            Token.user_id, User.email, User.name.label("user"),
        )
        .join(User, User.id == Token.user_id)
        .outerjoin(TokenUse, last_use)
        .where(Token.ledger_id == ledger_id, Token.revoked_at.is_(None))
        .order_by(Token.created_at.desc(), Token.id.desc())
    )  # fmt: skip
    if user_id is not None:
        query = query.where(Token.user_id == user_id)
    return list((await session.execute(query)).all())


async def insert_token(  # noqa: PLR0913 - a token's columns
    session: AsyncSession,
    *,
    ledger_id: int,
    user_id: int,
    name: str,
    scope: str,
    token_hash: bytes,
    expires_at: datetime | None,
) -> None:
    """Add a token of a user for a ledger."""
    await session.execute(
        insert(Token).values(
            ledger_id=ledger_id,
            user_id=user_id,
            name=name,
            scope=scope,
            token_hash=token_hash,
            expires_at=expires_at,
        )
    )


async def revoke_token(
    session: AsyncSession, *, ledger_id: int, token_id: int, user_id: int | None
) -> None:
    """Revoke a token, only of `user_id` if it is given; raises NotFound."""
    query = update(Token).where(
        Token.ledger_id == ledger_id, Token.id == token_id, Token.revoked_at.is_(None)
    )
    if user_id is not None:
        query = query.where(Token.user_id == user_id)
    revoked = query.values(revoked_at=func.now()).returning(Token.id)
    if (await session.execute(revoked)).one_or_none() is None:
        raise NotFound("there is no such token, or it is revoked already")


async def revoke_tokens(session: AsyncSession, *, ledger_id: int, user_id: int) -> None:
    """Revoke all tokens that a user has for a ledger."""
    mine = (Token.ledger_id == ledger_id, Token.user_id == user_id, Token.revoked_at.is_(None))
    await session.execute(update(Token).where(*mine).values(revoked_at=func.now()))


async def note_use(session: AsyncSession, *, ledger_id: int, token_id: int) -> None:
    """Write down that a token is being used, unless that was done within the last minute."""
    present = select(Token.ledger_id, Token.id, func.now()).where(
        Token.ledger_id == ledger_id, Token.id == token_id
    )
    columns = ["ledger_id", "token_id", "last_used_at"]
    query = upsert(TokenUse).from_select(columns, present)
    long_ago = TokenUse.last_used_at < func.now() - text(f"interval '{USE_INTERVAL} seconds'")
    await session.execute(
        query.on_conflict_do_update(
            index_elements=[TokenUse.ledger_id, TokenUse.token_id],
            set_={"last_used_at": func.now()},
            where=long_ago,
        )
    )
