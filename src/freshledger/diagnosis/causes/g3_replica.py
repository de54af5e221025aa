"""G3: the page reads from a replica that is behind.

Writes go to the primary and reads to a streaming replica, by a routing session or another URL.
The replica answers truly, for a moment that has passed. No session can help; it heals by itself
as soon as the replica has come so far, here after five seconds.
"""

import time
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, make_url, select, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import Transaction

LAG = 5
"""Seconds."""


def build(world: World) -> FlaskSite:
    """Make the app; the healed one reads where it writes."""
    site = FlaskSite(world)
    standby = make_url(world.url).update_query_dict({"target_session_attrs": "standby"})
    replica = create_engine(standby, poolclass=NullPool)
    begun = world.folder / "begun"
    if not begun.exists():
        anywhere = standby.set(database="postgres")  # it may not have this database yet
        _fall_behind(
            create_engine(world.url, poolclass=NullPool),
            create_engine(anywhere, poolclass=NullPool),
        )
        begun.touch()

    class Routing(Session):
        def get_bind(self, *args: Any, **options: Any) -> Engine | Connection:  # noqa: ANN401 - SQLAlchemy's
            writes = self._flushing or world.healed
            return super().get_bind(*args, **options) if writes else replica

    session = site.read_by_thread(removed=True, class_=Routing)

    @site.app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        return shown(session.scalars(select(Transaction).order_by(Transaction.id)))

    return site


def _fall_behind(primary: Engine, replica: Engine) -> None:
    """Let the replica come up to the primary, and be behind from now on."""
    _delay(replica, "0")
    with primary.connect() as connection:
        written = connection.scalar(text("SELECT pg_current_wal_lsn()"))
    _wait(replica, f"SELECT pg_last_wal_replay_lsn() >= '{written}'")
    _delay(replica, f"{LAG}s")


def _delay(replica: Engine, delay: str) -> None:
    with replica.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"ALTER SYSTEM SET recovery_min_apply_delay = '{delay}'"))
        connection.execute(text("SELECT pg_reload_conf()"))
    _wait(replica, f"SELECT current_setting('recovery_min_apply_delay') = '{delay}'")


def _wait(engine: Engine, question: str) -> None:
    while True:
        with engine.connect() as connection:
            if connection.scalar(text(question)):
                return
        time.sleep(0.01)


CAUSE = Cause(
    id="G3",
    title="the page reads from a replica that is behind the primary",
    fix="Read from the primary what was just written (or wait for its position: compare "
    "pg_last_wal_replay_lsn), and ask pg_is_in_recovery() of the page's connection.",
    build=build,
    engine="replicated",
    patience=LAG + 0.3,
    within=LAG,
)
