"""F3: the new row is stamped with local time and sought by UTC: it lies in the future.

The app's write takes datetime.now() on a machine whose clock shows Moscow's time, the page asks
for what happened up to now in UTC; both without a zone. The row comes into sight after the
offset, three hours here: it heals with time, but no experiment waits that long.
"""

import os
import time
from datetime import datetime

from sqlalchemy import select, update

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import Transaction, utc_now


def build(world: World) -> FlaskSite:
    """Make the app; the healed one stamps with UTC too."""
    os.environ["TZ"] = "MSK-3"  # Moscow's, also where no time zones are installed
    time.tzset()
    site = FlaskSite(world)

    def receive(_site: FlaskSite) -> None:
        now = utc_now() if world.healed else datetime.now()  # noqa: DTZ005 - the fault
        session = site.db.session
        session.execute(update(Transaction).where(Transaction.id == 1).values(status="confirmed"))
        session.add(Transaction(id=4, txid="tx4", status="pending", occurred_at=now))
        session.commit()

    site.post("write", receive)

    @site.app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        happened = Transaction.occurred_at <= utc_now()
        query = select(Transaction).where(happened).order_by(Transaction.id)
        return shown(site.db.session.scalars(query))

    return site


CAUSE = Cause(
    id="F3",
    title="the page asks by UTC, and new rows are stamped with local time, hours ahead",
    fix="Keep one clock: aware times in UTC (datetime.now(UTC), timestamptz) in all that writes "
    "and all that asks.",
    build=build,
    writes_itself=True,
    patience=0.5,
)
