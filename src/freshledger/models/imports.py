"""Imports: their files, which file contained which transaction, and exports being made."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, Numeric
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import BigInteger, Integer, Text

from freshledger.models.base import Base, CreatedAt, Id, LedgerId

IMPORT_STATUSES = (
    "reading",
    "staged",
    "committing",
    "done",
    "failed",
    "cancelled",
    "taking_back",
    "taken_back",
)


class Import(Base):
    """One batch of files into one wallet, committed all or nothing."""

    __tablename__ = "imports"

    ledger_id: Mapped[LedgerId]
    id: Mapped[Id]
    wallet_id: Mapped[int]
    user_id: Mapped[int | None] = mapped_column(
        ForeignKey("users.id", ondelete="SET NULL"), index=True
    )
    status: Mapped[str] = mapped_column(server_default="staged")
    error: Mapped[str | None]
    options: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    counts: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    created_at: Mapped[CreatedAt]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint(f"status IN {IMPORT_STATUSES}", name="status"),
        ForeignKeyConstraint(
            ["ledger_id", "wallet_id"], ["wallets.ledger_id", "wallets.id"], ondelete="CASCADE"
        ),
        Index(None, "ledger_id", "wallet_id"),
    )


class ImportFile(Base):
    """One file of an import: its name, format and SHA-256."""

    __tablename__ = "import_files"

    ledger_id: Mapped[LedgerId]
    id: Mapped[Id]
    import_id: Mapped[int]
    name: Mapped[str]
    format: Mapped[str]
    digest: Mapped[bytes]
    size: Mapped[int]

    __table_args__ = (
        ForeignKeyConstraint(
            ["ledger_id", "import_id"], ["imports.ledger_id", "imports.id"], ondelete="CASCADE"
        ),
        Index(None, "ledger_id", "import_id"),
    )


class ImportRow(Base):
    """A transaction that an import's files contained; `outcome` is new, there or updated.

    It has no foreign key to the transaction: what the user deleted was still in the file.
    """

    __tablename__ = "import_rows"

    ledger_id: Mapped[LedgerId]
    import_id: Mapped[int] = mapped_column(primary_key=True)
    transaction_id: Mapped[int] = mapped_column(primary_key=True)
    outcome: Mapped[str]

    __table_args__ = (
        CheckConstraint("outcome IN ('new', 'there', 'updated')", name="outcome"),
        ForeignKeyConstraint(
            ["ledger_id", "import_id"], ["imports.ledger_id", "imports.id"], ondelete="CASCADE"
        ),
        Index(None, "ledger_id", "transaction_id"),
    )


class ImportReference(Base):
    """A line of BIP-329 that an import's files contained; `outcome` is new or there."""

    __tablename__ = "import_references"

    ledger_id: Mapped[LedgerId]
    import_id: Mapped[int] = mapped_column(primary_key=True)
    reference_id: Mapped[int] = mapped_column(primary_key=True)
    outcome: Mapped[str]

    __table_args__ = (
        CheckConstraint("outcome IN ('new', 'there')", name="outcome"),
        ForeignKeyConstraint(
            ["ledger_id", "import_id"], ["imports.ledger_id", "imports.id"], ondelete="CASCADE"
        ),
        Index(None, "ledger_id", "reference_id"),
    )


class DroppedImportRows(Base):
    """What an import contained that was deleted in `tx`, so that undoing it brings it back.

    `ids` are those of its `import_rows` or `import_references` (`table_name`) of one outcome.
    """

    __tablename__ = "dropped_import_rows"

    ledger_id: Mapped[LedgerId]
    tx: Mapped[UUID] = mapped_column(primary_key=True)
    table_name: Mapped[str] = mapped_column(primary_key=True)
    import_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    outcome: Mapped[str] = mapped_column(primary_key=True)
    ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))


class StagedRow(Base):
    """A parsed record that waits for its import to be committed; dropped afterwards.

    `kind` is movement, reference or problem, or repeat: a movement that an earlier file of the
    same import has too. A movement's columns are those of Transaction. It is only ever read
    whole, so it has no index but its key.
    """

    __tablename__ = "staged_rows"

    ledger_id: Mapped[LedgerId]
    import_id: Mapped[int] = mapped_column(primary_key=True)
    file_id: Mapped[int] = mapped_column(primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    line: Mapped[int]
    kind: Mapped[str]
    wallet_id: Mapped[int | None]
    identity: Mapped[str | None]
    occurrence: Mapped[int | None] = mapped_column(Integer)
    group_key: Mapped[str | None]
    occurred_at: Mapped[datetime | None]
    type: Mapped[str | None]
    status: Mapped[str | None]
    asset: Mapped[str | None]
    contract: Mapped[str | None]
    amount: Mapped[Decimal | None] = mapped_column(Numeric)
    chain: Mapped[str | None]
    txid: Mapped[str | None]
    own_address: Mapped[str | None]
    counterparty: Mapped[str | None]
    contact: Mapped[str | None]
    fiat_value: Mapped[Decimal | None] = mapped_column(Numeric)
    fiat_currency: Mapped[str | None]
    note: Mapped[str | None]
    labels: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    detail: Mapped[dict[str, Any] | None] = mapped_column(JSONB)

    __table_args__ = (
        ForeignKeyConstraint(
            ["ledger_id", "import_id"], ["imports.ledger_id", "imports.id"], ondelete="CASCADE"
        ),
        {"prefixes": ["UNLOGGED"]},
    )


class Export(Base):
    """An export being made: one snapshot of a filter, spooled to a file and then sent."""

    __tablename__ = "exports"

    ledger_id: Mapped[LedgerId]
    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    format: Mapped[str]
    query: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="making")
    version: Mapped[int | None]
    done: Mapped[int] = mapped_column(server_default="0")
    total: Mapped[int | None]
    error: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("status IN ('making', 'done', 'failed', 'cancelled')", name="status"),
    )
