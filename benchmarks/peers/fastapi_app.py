"""FastAPI with SQLModel, an async session on asyncpg, and response_model, on uvicorn."""

import hashlib
import os
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Query
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict
from sqlalchemy import BigInteger, ColumnElement, DateTime, ForeignKeyConstraint, Text, make_url
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import joinedload, selectinload
from sqlmodel import Field, Relationship, SQLModel, and_, col, func, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

ROWS, CONNECTIONS = 50, 16

engine = create_async_engine(
    make_url(os.environ["DATABASE_URL"]).set(drivername="postgresql+asyncpg"),
    pool_size=CONNECTIONS,
)
app = FastAPI()
bearer = HTTPBearer()


class Wallet(SQLModel, table=True):
    """A wallet."""

    __tablename__ = "wallets"

    ledger_id: int = Field(primary_key=True, sa_type=BigInteger)
    id: int = Field(primary_key=True, sa_type=BigInteger)
    name: str = Field(sa_type=Text)


class Contact(SQLModel, table=True):
    """A contact."""

    __tablename__ = "contacts"

    ledger_id: int = Field(primary_key=True, sa_type=BigInteger)
    id: int = Field(primary_key=True, sa_type=BigInteger)
    name: str = Field(sa_type=Text)


class ContactAddress(SQLModel, table=True):
    """An address of a contact."""

    __tablename__ = "contact_addresses"
    __table_args__ = (
        ForeignKeyConstraint(["ledger_id", "contact_id"], ["contacts.ledger_id", "contacts.id"]),
    )

    ledger_id: int = Field(primary_key=True, sa_type=BigInteger)
    address: str = Field(primary_key=True, sa_type=Text)
    network: str = Field(primary_key=True, sa_type=Text)
    contact_id: int = Field(sa_type=BigInteger)
    contact: Contact = Relationship(sa_relationship_kwargs={"viewonly": True})


class TransactionLabel(SQLModel, table=True):
    """A label on a transaction."""

    __tablename__ = "transaction_labels"
    __table_args__ = (
        ForeignKeyConstraint(
            ["ledger_id", "transaction_id"], ["transactions.ledger_id", "transactions.id"]
        ),
        ForeignKeyConstraint(["ledger_id", "label_id"], ["labels.ledger_id", "labels.id"]),
    )

    ledger_id: int = Field(primary_key=True, sa_type=BigInteger)
    transaction_id: int = Field(primary_key=True, sa_type=BigInteger)
    label_id: int = Field(primary_key=True, sa_type=BigInteger)


class Label(SQLModel, table=True):
    """A label."""

    __tablename__ = "labels"

    ledger_id: int = Field(primary_key=True, sa_type=BigInteger)
    id: int = Field(primary_key=True, sa_type=BigInteger)
    name: str = Field(sa_type=Text)
    color: str = Field(sa_type=Text)


class Transaction(SQLModel, table=True):
    """A movement."""

    __tablename__ = "transactions"
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

    ledger_id: int = Field(primary_key=True, sa_type=BigInteger)
    id: int = Field(primary_key=True, sa_type=BigInteger)
    wallet_id: int = Field(sa_type=BigInteger)
    own_address: str | None = Field(sa_type=Text)
    chain: str | None = Field(sa_type=Text)
    txid: str | None = Field(sa_type=Text)
    group_key: str = Field(sa_type=Text)
    occurred_at: datetime = Field(sa_type=DateTime(timezone=True))
    type: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    asset: str = Field(sa_type=Text)
    contract: str | None = Field(sa_type=Text)
    amount: Decimal
    counterparty: str | None = Field(sa_type=Text)
    contact_id: int | None = Field(sa_type=BigInteger)
    note: str = Field(sa_type=Text)
    fiat_value: Decimal | None
    fiat_currency: str | None = Field(sa_type=Text)
    hand_edited: list[str] = Field(sa_type=ARRAY(Text))
    version: int = Field(sa_type=BigInteger)
    network: str | None = Field(sa_type=Text)
    wallet: Wallet = Relationship(sa_relationship_kwargs={"viewonly": True})
    set_contact: Contact | None = Relationship(sa_relationship_kwargs={"viewonly": True})
    known: ContactAddress | None = Relationship(sa_relationship_kwargs={"viewonly": True})
    labels: list[Label] = Relationship(
        link_model=TransactionLabel,
        sa_relationship_kwargs={
            "viewonly": True,
            "order_by": (func.lower(Label.name), Label.id),
        },
    )

    @property
    def wallet_name(self) -> str:
        """The wallet's name."""
        return self.wallet.name

    @property
    def shown_contact(self) -> Contact | None:
        """The contact that was set by hand, else the one that has the counterparty's address."""
        if self.contact_id is not None:
            return self.set_contact
        return self.known.contact if self.known else None

    @property
    def contact_name(self) -> str | None:
        """The contact's name."""
        return self.shown_contact.name if self.shown_contact else None

    @property
    def shown_contact_id(self) -> int | None:
        """The contact's id."""
        return self.shown_contact.id if self.shown_contact else None

    @property
    def contact_by_hand(self) -> bool:
        """Whether somebody set the contact."""
        return self.contact_id is not None


class Head(SQLModel, table=True):
    """The version a ledger is at."""

    __tablename__ = "heads"

    ledger_id: int = Field(primary_key=True, sa_type=BigInteger)
    version: int = Field(sa_type=BigInteger)


class Member(SQLModel, table=True):
    """A user's role in a ledger."""

    __tablename__ = "members"

    ledger_id: int = Field(primary_key=True, sa_type=BigInteger)
    user_id: int = Field(primary_key=True, sa_type=BigInteger)
    role: str = Field(sa_type=Text)


class Token(SQLModel, table=True):
    """An API token; only its SHA-256 is kept."""

    __tablename__ = "tokens"

    ledger_id: int = Field(primary_key=True, sa_type=BigInteger)
    id: int = Field(primary_key=True, sa_type=BigInteger)
    user_id: int = Field(sa_type=BigInteger)
    token_hash: bytes
    expires_at: datetime | None = Field(sa_type=DateTime(timezone=True))
    revoked_at: datetime | None = Field(sa_type=DateTime(timezone=True))


class LabelPublic(BaseModel):
    """What is answered of a label."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    color: str


class TransactionPublic(BaseModel):
    """What is answered of a movement."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    wallet: str = Field(validation_alias="wallet_name")
    wallet_id: int
    own_address: str | None
    chain: str | None
    txid: str | None
    group_key: str
    occurred_at: datetime
    type: str
    status: str
    asset: str
    contract: str | None
    amount: Decimal
    counterparty: str | None
    contact: str | None = Field(validation_alias="contact_name")
    contact_id: int | None = Field(validation_alias="shown_contact_id")
    contact_by_hand: bool
    labels: list[LabelPublic]
    note: str
    fiat_value: Decimal | None
    fiat_currency: str | None
    hand_edited: list[str]
    version: int


class NewestPublic(BaseModel):
    """A page of the list."""

    model_config = ConfigDict(from_attributes=True)

    version: int
    data: list[TransactionPublic]


class TransactionsPublic(NewestPublic):
    """A page of the list, and how many rows there are."""

    count: int


async def open_session() -> AsyncIterator[AsyncSession]:
    """Give a request its session."""
    async with AsyncSession(engine) as session:
        yield session


OpenSession = Annotated[AsyncSession, Depends(open_session)]
Limit = Annotated[int, Query(ge=1, le=500)]


async def find_version(
    ledger_id: int,
    session: OpenSession,
    given: Annotated[HTTPAuthorizationCredentials, Depends(bearer)],
) -> int:
    """Let only members of the ledger in, with a token; return the ledger's version."""
    found = await session.exec(
        select(Token.user_id, Member.role, Head.version)
        .join(Member, and_(Member.ledger_id == Token.ledger_id, Member.user_id == Token.user_id))
        .join(Head, Head.ledger_id == Token.ledger_id)
        .where(
            Token.ledger_id == ledger_id,
            Token.token_hash == hashlib.sha256(given.credentials.encode()).digest(),
            col(Token.revoked_at).is_(None),
            or_(col(Token.expires_at).is_(None), col(Token.expires_at) > func.now()),
        )
    )
    member = found.one_or_none()
    if member is None:
        raise HTTPException(status_code=401)
    return member.version


Version = Annotated[int, Depends(find_version)]


@app.get("/ledgers/{ledger_id}/transactions", response_model=TransactionsPublic)
async def list_transactions(
    ledger_id: int,
    asset: str,
    version: Version,
    session: OpenSession,
    offset: int = 0,
    limit: Limit = ROWS,
) -> Any:  # noqa: ANN401 - response_model says it
    """Answer with a page, and how many rows there are."""
    wanted = Transaction.ledger_id == ledger_id, Transaction.asset == asset
    counted = await session.exec(select(func.count()).select_from(Transaction).where(*wanted))
    rows = await read_rows(session, *wanted, offset=offset, limit=limit)
    return {"version": version, "data": rows, "count": counted.one()}


@app.get("/ledgers/{ledger_id}/newest", response_model=NewestPublic)
async def list_newest(
    ledger_id: int,
    asset: str,
    version: Version,
    session: OpenSession,
    offset: int = 0,
    limit: Limit = ROWS,
) -> Any:  # noqa: ANN401 - response_model says it
    """Answer with a page; the rows are not counted."""
    wanted = Transaction.ledger_id == ledger_id, Transaction.asset == asset
    rows = await read_rows(session, *wanted, offset=offset, limit=limit)
    return {"version": version, "data": rows}


async def read_rows(
    session: AsyncSession, *wanted: ColumnElement[bool], offset: int, limit: int
) -> Sequence[Transaction]:
    """Read a page with all names."""
    found = await session.exec(
        select(Transaction)
        .where(*wanted)
        .order_by(col(Transaction.occurred_at).desc(), col(Transaction.id).desc())
        .offset(offset)
        .limit(limit)
        .options(
            joinedload(Transaction.wallet),
            joinedload(Transaction.set_contact),
            joinedload(Transaction.known).joinedload(ContactAddress.contact),
            selectinload(Transaction.labels),
        )
    )
    return found.all()
