"""People, their sessions, invitations and API tokens."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from freshledger.models.base import Base, CreatedAt, Id, LedgerId


class User(Base):
    """A person who can sign in; `email` is unique whatever its case."""

    __tablename__ = "users"

    id: Mapped[Id]
    email: Mapped[str]
    name: Mapped[str] = mapped_column(server_default="")
    password_hash: Mapped[str | None]
    is_admin: Mapped[bool] = mapped_column(server_default=text("false"))
    disabled_at: Mapped[datetime | None]
    time_zone: Mapped[str] = mapped_column(server_default="UTC")
    theme: Mapped[str] = mapped_column(server_default="auto")
    page_size: Mapped[int] = mapped_column(server_default="50")
    settings_version: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[CreatedAt]

    __table_args__ = (
        CheckConstraint("theme IN ('auto', 'light', 'dark')", name="theme"),
        Index("uq_users_email", func.lower(text("email")), unique=True),
    )


class Session(Base):
    """A browser that is signed in; only the SHA-256 of its token is kept."""

    __tablename__ = "sessions"

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    user_agent: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[datetime]


class Invitation(Base):
    """A one-time link that lets somebody set a password: the first set-up, a new user."""

    __tablename__ = "invitations"

    id: Mapped[Id]
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    email: Mapped[str | None]
    is_admin: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class LoginFailure(Base):
    """A failed sign-in, kept to slow down guessing; `subject` is a hashed email or address."""

    __tablename__ = "login_failures"

    id: Mapped[Id]
    subject: Mapped[bytes]
    at: Mapped[CreatedAt]

    __table_args__ = (Index(None, "subject", "at"),)


class Token(Base):
    """An API token of a user for one ledger; only the SHA-256 of its secret is kept."""

    __tablename__ = "tokens"

    ledger_id: Mapped[LedgerId]
    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(server_default="")
    scope: Mapped[str]
    token_hash: Mapped[bytes]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]

    __table_args__ = (
        CheckConstraint("scope IN ('read', 'write')", name="scope"),
        Index("uq_tokens_token_hash", "ledger_id", "token_hash", unique=True),
    )


class TokenUse(Base):
    """When a token was last used, to the minute: apart from it, so that a read changes no page."""

    __tablename__ = "token_uses"

    ledger_id: Mapped[LedgerId]
    token_id: Mapped[int] = mapped_column(primary_key=True)
    last_used_at: Mapped[datetime]

    __table_args__ = (
        ForeignKeyConstraint(
            ["ledger_id", "token_id"], ["tokens.ledger_id", "tokens.id"], ondelete="CASCADE"
        ),
    )


class IdempotencyKey(Base):
    """What a request with an Idempotency-Key did, written in its own transaction.

    `request` is a digest of the request: the same key is good for the same request only. The
    answer (`status`, `headers`, `body`) is given again to whoever repeats it within 24 hours.
    """

    __tablename__ = "idempotency_keys"

    user_id: Mapped[int] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    key: Mapped[str] = mapped_column(primary_key=True)
    request: Mapped[bytes]
    created_at: Mapped[CreatedAt] = mapped_column(index=True)
    status: Mapped[int | None]
    headers: Mapped[list[list[str]] | None] = mapped_column(JSONB)
    body: Mapped[bytes | None]
