"""F2: a column's default was evaluated once, so that new rows carry the time of the start.

`default=utcnow()` instead of `default=utcnow` stamps each new row with the moment at which the
model was imported. The row is there, but a page of the latest, by a window or by ORDER BY and
LIMIT, takes it for an old one. A new process freezes a newer time and leaves the row as it is.
The app says here that it was started two hours ago, as nobody can wait for that.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Text, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import utc_now

UPTIME = timedelta(hours=2)
LATEST = timedelta(hours=1)


def map_receipts(default: datetime | Callable[[], datetime]) -> Any:  # noqa: ANN401 - a class of its own
    """Return the app's own model of the table, which stamps what it receives."""

    class Models(DeclarativeBase):
        pass

    class Receipt(Models):
        __tablename__ = "transactions"

        id: Mapped[int] = mapped_column(primary_key=True)
        wallet_id: Mapped[int] = mapped_column(default=1)
        txid: Mapped[str] = mapped_column(Text)
        status: Mapped[str] = mapped_column(Text)
        occurred_at: Mapped[datetime] = mapped_column(default=default)

    return Receipt


def build(world: World) -> FlaskSite:
    """Make the app; the healed one's default is called for each row."""
    site = FlaskSite(world)
    started = utc_now() - UPTIME
    Receipt = map_receipts(utc_now if world.healed else started)  # noqa: N806 - a class

    def receive(_site: FlaskSite) -> None:
        session = site.db.session
        session.execute(update(Receipt).where(Receipt.id == 1).values(status="confirmed"))
        session.add(Receipt(id=4, txid="tx4", status="pending"))
        session.commit()

    site.post("write", receive)

    @site.app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        latest = Receipt.occurred_at > utc_now() - LATEST
        return shown(site.db.session.scalars(select(Receipt).where(latest).order_by(Receipt.id)))

    return site


CAUSE = Cause(
    id="F2",
    title="the page shows the latest, and new rows are stamped with the start of the process",
    fix="Give the column the function, not its result (default=utc_now without brackets), or let "
    "the server stamp the row; correct the stamps of the rows that were written.",
    build=build,
    writes_itself=True,
    patience=0.5,
)
