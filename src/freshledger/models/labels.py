"""Labels, their links to transactions, and the BIP-329 lines that are kept."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from freshledger.models.base import Base, CreatedAt, Id, LedgerId, RowVersion

COLORS = (
    "gray", "red", "orange", "amber", "lime", "green", "teal", "cyan", "blue", "indigo",
    "purple", "pink",
)  # fmt: skip
"""The palette; the style sheet has a class for each."""


class Label(Base):
    """A label, unique by name within its ledger whatever its case."""

    __tablename__ = "labels"

    ledger_id: Mapped[LedgerId]
    id: Mapped[Id]
    name: Mapped[str]
    color: Mapped[str] = mapped_column(server_default="gray")
    version: Mapped[RowVersion]
    created_at: Mapped[CreatedAt]

    __table_args__ = (
        CheckConstraint(f"color IN {COLORS}", name="color"),
        Index("uq_labels_name", "ledger_id", func.lower(text("name")), unique=True),
    )


_CARRIED = ("occurred_at", "wallet_id", "asset", "type")


class TransactionLabel(Base):
    """A label on a transaction; carries what a label's newest are found and filtered by.

    The trigger `carry` fills in wallet_id, asset and type where an insert leaves them out.
    """

    __tablename__ = "transaction_labels"

    ledger_id: Mapped[LedgerId]
    transaction_id: Mapped[int] = mapped_column(primary_key=True)
    label_id: Mapped[int] = mapped_column(primary_key=True)
    occurred_at: Mapped[datetime]
    wallet_id: Mapped[int]
    asset: Mapped[str]
    type: Mapped[str]

    __table_args__ = (
        ForeignKeyConstraint(
            ["ledger_id", "transaction_id", *_CARRIED],
            ["transactions.ledger_id", "transactions.id", *(f"transactions.{c}" for c in _CARRIED)],
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        ForeignKeyConstraint(
            ["ledger_id", "label_id"], ["labels.ledger_id", "labels.id"], ondelete="CASCADE"
        ),
        Index(
            "ix_transaction_labels_newest", "ledger_id", "label_id", "occurred_at", "transaction_id"
        ),
        *(
            Index(
                f"ix_transaction_labels_{column.removesuffix('_id')}",
                "ledger_id",
                "label_id",
                column,
                "occurred_at",
                "transaction_id",
            )
            for column in _CARRIED[1:]
        ),
    )


class ReferenceLabel(Base):
    """A line of BIP-329, also for things the ledger does not hold (yet)."""

    __tablename__ = "reference_labels"

    ledger_id: Mapped[LedgerId]
    id: Mapped[Id]
    type: Mapped[str]
    ref: Mapped[str]
    label: Mapped[str | None]
    origin: Mapped[str | None]
    spendable: Mapped[bool | None]
    extra: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    created_at: Mapped[CreatedAt]

    __table_args__ = (
        UniqueConstraint(
            "ledger_id", "type", "ref", "origin", "label", postgresql_nulls_not_distinct=True
        ),
    )
