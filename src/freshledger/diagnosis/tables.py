"""What the experiments' apps are about: transactions of wallets, and contacts beside them."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, ForeignKey, Identity, Text, insert, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from freshledger.database import AnySelect

Rows = tuple[tuple[int, str], ...]
"""The transactions' ids and statuses, by id."""


class Base(DeclarativeBase):
    """The tables of an app under experiment."""


class Wallet(Base):
    """A wallet with its transactions."""

    __tablename__ = "wallets"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    transactions: Mapped[list["Transaction"]] = relationship(
        back_populates="wallet", order_by="Transaction.id"
    )


class Transaction(Base):
    """A transaction: what the pages list."""

    __tablename__ = "transactions"

    id: Mapped[int] = mapped_column(primary_key=True)
    wallet_id: Mapped[int] = mapped_column(ForeignKey("wallets.id"), default=1)
    txid: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    occurred_at: Mapped[datetime]
    wallet: Mapped[Wallet] = relationship(back_populates="transactions")


class Contact(Base):
    """What the app's other functions write: nothing that the page shows."""

    __tablename__ = "contacts"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(Text)


BEFORE: Rows = ((1, "pending"), (2, "confirmed"), (3, "confirmed"))
"""What is there before anybody writes."""

AFTER: Rows = ((1, "confirmed"), (2, "confirmed"), (3, "confirmed"), (4, "pending"))
"""What every page must show once the write is acknowledged."""

QUESTION: AnySelect = select(Transaction.id, Transaction.status).order_by(Transaction.id)


def utc_now() -> datetime:
    """Return the present moment in UTC, without its zone: SQLite and MariaDB keep none."""
    return datetime.now(UTC).replace(tzinfo=None)


def fill(connection: Connection) -> None:
    """Empty the tables and write what is there before the experiment."""
    for table in reversed(Base.metadata.sorted_tables):
        connection.execute(table.delete())
    connection.execute(insert(Wallet).values(id=1, name="Ledger"))
    ago = utc_now() - timedelta(minutes=5)
    rows = [
        {"id": id_, "wallet_id": 1, "txid": f"tx{id_}", "status": status, "occurred_at": ago}
        for id_, status in BEFORE
    ]
    connection.execute(insert(Transaction), rows)


def write(connection: Connection) -> None:
    """Write as somebody outside of the app does: the first is confirmed, and there is a fourth."""
    connection.execute(update(Transaction).where(Transaction.id == 1).values(status="confirmed"))
    connection.execute(
        insert(Transaction).values(
            id=4, wallet_id=1, txid="tx4", status="pending", occurred_at=utc_now()
        )
    )
