"""Ledgers, who may use them, and the record of their versions."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import BigInteger

from freshledger.models.base import Base, CreatedAt, Id, LedgerId


class Ledger(Base):
    """A set of books; `epoch` is random and renewed by restore."""

    __tablename__ = "ledgers"

    id: Mapped[Id]
    name: Mapped[str]
    epoch: Mapped[UUID] = mapped_column(server_default=func.gen_random_uuid())
    archived_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]


class Member(Base):
    """A user's role in a ledger."""

    __tablename__ = "members"

    ledger_id: Mapped[LedgerId]
    user_id: Mapped[int] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    role: Mapped[str]
    created_at: Mapped[CreatedAt]

    __table_args__ = (CheckConstraint("role IN ('owner', 'editor', 'viewer')", name="role"),)


class Head(Base):
    """The version a ledger is at: a table of its own, so that no foreign key touches its row."""

    __tablename__ = "heads"

    ledger_id: Mapped[LedgerId]
    version: Mapped[int] = mapped_column(server_default="0")
    tx: Mapped[UUID | None]

    __table_args__ = ({"postgresql_with": {"fillfactor": 20}},)


class Revision(Base):
    """One version of a ledger: the database transaction that made it, and when it committed."""

    __tablename__ = "revisions"

    ledger_id: Mapped[LedgerId]
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    tx: Mapped[UUID]
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())

    __table_args__ = (
        UniqueConstraint("ledger_id", "tx"),
        Index("ix_revisions_at", "ledger_id", "at", "version"),
    )


class Change(Base):
    """What one statement did to one table of a ledger; its version is that of its `tx`.

    `operation` is I, U or D. `before` and `after` are JSON arrays of rows, in the order of
    `ids`; an update has only the columns that changed. Both are NULL for imports (the batch
    is the record) and for foreign statements over 10,000 rows.
    """

    __tablename__ = "changes"

    ledger_id: Mapped[LedgerId]
    tx: Mapped[UUID] = mapped_column(primary_key=True)
    part: Mapped[Id]
    actor: Mapped[str]
    table_name: Mapped[str]
    operation: Mapped[str]
    count: Mapped[int]
    import_id: Mapped[int | None]
    ids: Mapped[list[int] | None] = mapped_column(ARRAY(BigInteger))
    before: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB)
    after: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB)

    __table_args__ = (
        CheckConstraint("operation IN ('I', 'U', 'D')", name="operation"),
        Index(None, "ids", postgresql_using="gin"),
        Index("ix_changes_what", "ledger_id", "table_name", "actor", "operation", "tx"),
        Index(
            "ix_changes_import",
            "ledger_id",
            "import_id",
            postgresql_where=text("import_id IS NOT NULL"),
        ),
    )


class Undo(Base):
    """The database transaction `tx` undid the ledger's `version`, but for `left_out` rows."""

    __tablename__ = "undos"

    ledger_id: Mapped[LedgerId]
    tx: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int]
    left_out: Mapped[int] = mapped_column(server_default=text("0"))

    __table_args__ = (Index(None, "ledger_id", "version"),)


class SavedFilter(Base):
    """A named filter of the transactions page; `query` is its URL's query string."""

    __tablename__ = "saved_filters"

    ledger_id: Mapped[LedgerId]
    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    query: Mapped[str]
    created_at: Mapped[CreatedAt]

    __table_args__ = (
        Index(
            "uq_saved_filters_name", "ledger_id", "user_id", func.lower(text("name")), unique=True
        ),
    )
