"""Contacts: names for counterparties' addresses."""

from sqlalchemy import ForeignKeyConstraint, Index, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from freshledger.models.base import Base, CreatedAt, Id, LedgerId, RowVersion


class Contact(Base):
    """Somebody known by name, unique within the ledger."""

    __tablename__ = "contacts"

    ledger_id: Mapped[LedgerId]
    id: Mapped[Id]
    name: Mapped[str]
    note: Mapped[str] = mapped_column(server_default="")
    version: Mapped[RowVersion]
    created_at: Mapped[CreatedAt]

    __table_args__ = (
        Index("uq_contacts_name", "ledger_id", func.lower(text("name")), unique=True),
    )


class ContactAddress(Base):
    """An address of a contact in an address space (`network`: 'evm' for all EVM chains)."""

    __tablename__ = "contact_addresses"

    ledger_id: Mapped[LedgerId]
    id: Mapped[Id]
    contact_id: Mapped[int]
    network: Mapped[str]
    address: Mapped[str]
    created_at: Mapped[CreatedAt]

    __table_args__ = (
        ForeignKeyConstraint(
            ["ledger_id", "contact_id"],
            ["contacts.ledger_id", "contacts.id"],
            ondelete="CASCADE",
        ),
        Index(None, "ledger_id", "contact_id"),
        UniqueConstraint("ledger_id", "address", "network"),
    )
