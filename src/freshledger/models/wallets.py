"""Wallets and the addresses that are the user's own."""

from sqlalchemy import ForeignKeyConstraint, Index, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from freshledger.models.base import Base, CreatedAt, Id, LedgerId, RowVersion


class Wallet(Base):
    """A wallet or an exchange account, unique by name within its ledger."""

    __tablename__ = "wallets"

    ledger_id: Mapped[LedgerId]
    id: Mapped[Id]
    name: Mapped[str]
    note: Mapped[str] = mapped_column(server_default="")
    version: Mapped[RowVersion]
    created_at: Mapped[CreatedAt]

    __table_args__ = (Index("uq_wallets_name", "ledger_id", func.lower(text("name")), unique=True),)


class WalletAddress(Base):
    """An address of a wallet; `chain` is a slug, or NULL for an exchange account's own name."""

    __tablename__ = "wallet_addresses"

    ledger_id: Mapped[LedgerId]
    id: Mapped[Id]
    wallet_id: Mapped[int]
    chain: Mapped[str | None]
    address: Mapped[str]
    created_at: Mapped[CreatedAt]

    __table_args__ = (
        ForeignKeyConstraint(
            ["ledger_id", "wallet_id"], ["wallets.ledger_id", "wallets.id"], ondelete="CASCADE"
        ),
        Index(None, "ledger_id", "wallet_id"),
        UniqueConstraint("ledger_id", "chain", "address", postgresql_nulls_not_distinct=True),
    )
