"""freshledger's tables as SQLAlchemy's ORM maps them: what the Flask and the Litestar app read."""

import hashlib
import os
from datetime import datetime
from decimal import Decimal

from sqlalchemy import (
    URL,
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Select,
    Table,
    and_,
    func,
    make_url,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    joinedload,
    mapped_column,
    relationship,
    selectinload,
)
from sqlalchemy.types import DateTime, Text

ROWS = 50
CONNECTIONS = 16


class Base(DeclarativeBase):
    """Text is TEXT, times carry their zone."""

    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        str: Text,
        int: BigInteger,
        datetime: DateTime(timezone=True),
    }


class Wallet(Base):
    """A wallet."""

    __tablename__ = "wallets"

    ledger_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Contact(Base):
    """A contact."""

    __tablename__ = "contacts"

    ledger_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class ContactAddress(Base):
    """An address of a contact."""

    __tablename__ = "contact_addresses"

    ledger_id: Mapped[int] = mapped_column(primary_key=True)
    address: Mapped[str] = mapped_column(primary_key=True)
    network: Mapped[str] = mapped_column(primary_key=True)
    contact_id: Mapped[int]
    contact: Mapped[Contact] = relationship()

    __table_args__ = (
        ForeignKeyConstraint(["ledger_id", "contact_id"], ["contacts.ledger_id", "contacts.id"]),
    )


class Label(Base):
    """A label."""

    __tablename__ = "labels"

    ledger_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    color: Mapped[str]


transaction_labels = Table(
    "transaction_labels",
    Base.metadata,
    Column("ledger_id", BigInteger, primary_key=True),
    Column("transaction_id", BigInteger, primary_key=True),
    Column("label_id", BigInteger, primary_key=True),
    ForeignKeyConstraint(
        ["ledger_id", "transaction_id"], ["transactions.ledger_id", "transactions.id"]
    ),
    ForeignKeyConstraint(["ledger_id", "label_id"], ["labels.ledger_id", "labels.id"]),
)


class Transaction(Base):
    """A movement, with the columns that the answers show."""

    __tablename__ = "transactions"

    ledger_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(primary_key=True)
    wallet_id: Mapped[int]
    own_address: Mapped[str | None]
    chain: Mapped[str | None]
    network: Mapped[str | None]
    txid: Mapped[str | None]
    group_key: Mapped[str]
    occurred_at: Mapped[datetime]
    type: Mapped[str]
    status: Mapped[str]
    asset: Mapped[str]
    contract: Mapped[str | None]
    amount: Mapped[Decimal]
    counterparty: Mapped[str | None]
    contact_id: Mapped[int | None]
    note: Mapped[str]
    fiat_value: Mapped[Decimal | None]
    fiat_currency: Mapped[str | None]
    hand_edited: Mapped[list[str]] = mapped_column(ARRAY(Text))
    version: Mapped[int]

    __table_args__ = (
        ForeignKeyConstraint(["ledger_id", "wallet_id"], ["wallets.ledger_id", "wallets.id"]),
        ForeignKeyConstraint(["ledger_id", "contact_id"], ["contacts.ledger_id", "contacts.id"]),
        ForeignKeyConstraint(
            ["ledger_id", "counterparty", "network"],
            [
                "contact_addresses.ledger_id",
                "contact_addresses.address",
                "contact_addresses.network",
            ],
        ),
    )

    wallet: Mapped[Wallet] = relationship(viewonly=True)
    set_contact: Mapped[Contact | None] = relationship(viewonly=True)
    known: Mapped[ContactAddress | None] = relationship(viewonly=True)
    labels: Mapped[list[Label]] = relationship(
        secondary=transaction_labels, order_by=(func.lower(Label.name), Label.id), viewonly=True
    )

    @property
    def contact(self) -> Contact | None:
        """The contact that was set by hand, else the one that has the counterparty's address."""
        if self.contact_id is not None:
            return self.set_contact
        return self.known.contact if self.known else None


class Head(Base):
    """The version a ledger is at."""

    __tablename__ = "heads"

    ledger_id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int]


class Member(Base):
    """A user's role in a ledger."""

    __tablename__ = "members"

    ledger_id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(primary_key=True)
    role: Mapped[str]


class Token(Base):
    """An API token; only its SHA-256 is kept."""

    __tablename__ = "tokens"

    ledger_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    token_hash: Mapped[bytes]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class Session(Base):
    """A browser that is signed in; only the SHA-256 of its secret is kept."""

    __tablename__ = "sessions"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    token_hash: Mapped[bytes]
    expires_at: Mapped[datetime]


NEWEST = (Transaction.occurred_at.desc(), Transaction.id.desc())
NAMES = (
    joinedload(Transaction.wallet),
    joinedload(Transaction.set_contact),
    joinedload(Transaction.known).joinedload(ContactAddress.contact),
    selectinload(Transaction.labels),
)
"""SQLAlchemy's advice: joined for one of many, SELECT IN for collections."""


def database_url(driver: str) -> URL:
    """Return the database's address for a driver."""
    return make_url(os.environ["DATABASE_URL"]).set(drivername=f"postgresql+{driver}")


def find_token(ledger_id: int, authorization: str) -> Select[tuple[int, str, int]]:
    """Select user, role and the ledger's version of an Authorization header's token."""
    secret = authorization.removeprefix("Bearer ")
    return (
        select(Token.user_id, Member.role, Head.version)
        .join(Member, and_(Member.ledger_id == Token.ledger_id, Member.user_id == Token.user_id))
        .join(Head, Head.ledger_id == Token.ledger_id)
        .where(
            Token.ledger_id == ledger_id,
            Token.token_hash == hashlib.sha256(secret.encode()).digest(),
            Token.revoked_at.is_(None),
            or_(Token.expires_at.is_(None), Token.expires_at > func.now()),
        )
    )


def find_session(ledger_id: int, secret: str) -> Select[tuple[int, str, int]]:
    """Select user, role and the ledger's version of a browser's session cookie."""
    return (
        select(Session.user_id, Member.role, Head.version)
        .join(Member, and_(Member.ledger_id == ledger_id, Member.user_id == Session.user_id))
        .join(Head, Head.ledger_id == Member.ledger_id)
        .where(
            Session.token_hash == hashlib.sha256(secret.encode()).digest(),
            Session.expires_at > func.now(),
        )
    )
