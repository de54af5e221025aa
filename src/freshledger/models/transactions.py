"""Transactions: each row is one movement of one asset in or out of one wallet."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Computed,
    ForeignKeyConstraint,
    Index,
    Numeric,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import Integer, Text

from freshledger.models.base import Base, CreatedAt, Id, LedgerId, RowVersion

TYPES = (
    "receive", "send", "trade", "transfer", "fee", "reward", "income", "mint", "burn", "other",
)  # fmt: skip
STATUSES = ("confirmed", "pending", "failed")


_PAGED_BY: tuple[tuple[str, tuple[str, ...], dict[str, Any]], ...] = (
    ("newest", (), {}),
    ("wallet", ("wallet_id",), {}),
    ("own_address", ("own_address",), {}),
    ("type", ("type",), {}),
    ("chain", ("chain",), {}),
    ("asset", ("asset",), {}),
    ("contract", ("contract",), {"postgresql_where": text("contract IS NOT NULL")}),
    ("counterparty", ("counterparty",), {}),
    ("status", ("status",), {}),
    ("contact", ("contact_id",), {"postgresql_where": text("contact_id IS NOT NULL")}),
    ("wallet_asset", ("wallet_id", "asset"), {}),
    ("wallet_type", ("wallet_id", "type"), {}),
    ("wallet_status", ("wallet_id", "status"), {}),
    ("asset_type", ("asset", "type"), {}),
    ("asset_chain", ("asset", "chain"), {}),
    ("counterparty_asset", ("counterparty", "asset"), {}),
    (
        "contact_asset",
        ("contact_id", "asset"),
        {"postgresql_where": text("contact_id IS NOT NULL")},
    ),
)
"""Each equality of the filter, and each likely pair, has an index that ends in the page's order.

Without its own a pair of which both have many rows, but none together, is searched to the end.
"""


class Transaction(Base):
    """One movement: `amount` is signed (in is positive), exact, in whole units of `asset`.

    `identity` and `occurrence` say which row of the source it is, `group_key` which
    movements belong together. `hand_edited` names the columns a person corrected: an
    import never changes those. `contact_id` is only set by hand; else the contact follows
    from `counterparty` and `network`. `version` is the row's, not the ledger's.
    """

    __tablename__ = "transactions"

    ledger_id: Mapped[LedgerId]
    id: Mapped[Id]
    wallet_id: Mapped[int]
    own_address: Mapped[str | None]
    chain: Mapped[str | None]
    network: Mapped[str | None] = mapped_column(Computed("network_of(chain)", persisted=True))
    txid: Mapped[str | None]
    group_key: Mapped[str]
    identity: Mapped[str]
    occurrence: Mapped[int] = mapped_column(Integer, server_default="0")
    occurred_at: Mapped[datetime]
    type: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="confirmed")
    asset: Mapped[str]
    contract: Mapped[str | None]
    amount: Mapped[Decimal] = mapped_column(Numeric)
    counterparty: Mapped[str | None]
    contact_id: Mapped[int | None]
    fiat_value: Mapped[Decimal | None] = mapped_column(Numeric)
    fiat_currency: Mapped[str | None]
    note: Mapped[str] = mapped_column(server_default="")
    hand_edited: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    version: Mapped[RowVersion]
    created_at: Mapped[CreatedAt]

    __table_args__ = (
        CheckConstraint(f"type IN {TYPES}", name="type"),
        CheckConstraint(f"status IN {STATUSES}", name="status"),
        CheckConstraint("amount <> 'NaN' AND abs(amount) < 'Infinity'", name="amount"),
        CheckConstraint("status <> 'failed' OR amount = 0", name="failed_moves_nothing"),
        ForeignKeyConstraint(
            ["ledger_id", "wallet_id"], ["wallets.ledger_id", "wallets.id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(
            ["ledger_id", "contact_id"],
            ["contacts.ledger_id", "contacts.id"],
            ondelete="SET NULL (contact_id)",
        ),
        UniqueConstraint("ledger_id", "wallet_id", "identity", "occurrence"),
        UniqueConstraint("ledger_id", "id", "occurred_at", "wallet_id", "asset", "type"),
        *(
            Index(f"ix_transactions_{name}", "ledger_id", *columns, "occurred_at", "id", **options)
            for name, columns, options in _PAGED_BY
        ),
        Index(
            "ix_transactions_counterparty_prefix",
            "ledger_id",
            "counterparty",
            postgresql_ops={"counterparty": "text_pattern_ops"},
        ),
        Index(
            "ix_transactions_txid",
            "ledger_id",
            "txid",
            postgresql_ops={"txid": "text_pattern_ops"},
        ),
        Index("ix_transactions_group", "ledger_id", "group_key"),
        Index("ix_transactions_amount", "ledger_id", text("abs(amount)"), "occurred_at", "id"),
        Index(
            "ix_transactions_asset_amount",
            "ledger_id",
            "asset",
            text("abs(amount)"),
            "occurred_at",
            "id",
        ),
        Index(
            "ix_transactions_words",
            text("placed_words(ledger_id, occurred_at, note)"),
            postgresql_using="gin",
            postgresql_where=text("note <> ''"),
        ),
    )


class Tombstone(Base):
    """A row of a source that a person deleted: an import does not bring it back."""

    __tablename__ = "tombstones"

    ledger_id: Mapped[LedgerId]
    wallet_id: Mapped[int] = mapped_column(primary_key=True)
    identity: Mapped[str] = mapped_column(primary_key=True)
    occurrence: Mapped[int] = mapped_column(Integer, primary_key=True)
    created_at: Mapped[CreatedAt]

    __table_args__ = (
        ForeignKeyConstraint(
            ["ledger_id", "wallet_id"], ["wallets.ledger_id", "wallets.id"], ondelete="CASCADE"
        ),
    )
