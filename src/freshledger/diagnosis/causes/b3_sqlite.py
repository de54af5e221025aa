"""B3: SQLite with real transactions: each begins with BEGIN, and in WAL mode keeps its snapshot.

Python's sqlite3 sends no BEGIN before a SELECT, so that each is answered from the present. The
documented recipe for correct transactions sends it (so do autocommit=False and, some day, the
default): from then on the reader of a WAL database sees its first moment until it ends. This
app ends each request with expire_all(), as advised against stale pages, and not with remove().
SQLite refuses to write in a snapshot that is no longer the latest ("database is locked"): the
app's other function rolls back and tries again, and that roll-back is what refreshes the page.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, event, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, scoped_session

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import Transaction


def build(world: World) -> FlaskSite:
    """Make the app; the healed one ends the session with the request."""
    site = FlaskSite(world)
    session = site.read_by_thread(removed=world.healed)
    site.app.teardown_appcontext(lambda _error: session.expire_all())
    _begin_transactions(site)
    site.same = _try_twice(site.same, session)

    @site.app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        return shown(session.scalars(select(Transaction).order_by(Transaction.id)))

    return site


def _try_twice(write: Callable[[], None], session: scoped_session[Session]) -> Callable[[], None]:
    def attempt() -> None:
        try:
            write()
        except OperationalError:
            session.rollback()
            write()

    return attempt


def _begin_transactions(site: FlaskSite) -> None:
    """Follow SQLAlchemy's recipe for SQLite."""
    with site.app.app_context():
        engine = site.db.engine

    @event.listens_for(engine, "connect")
    def leave_begin_to_us(driver: Any, _record: object) -> None:  # noqa: ANN401 - sqlite3's
        driver.isolation_level = None
        driver.execute("PRAGMA journal_mode = WAL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")


CAUSE = Cause(
    id="B3",
    title="the page reads on in a transaction of SQLite that began with BEGIN, in WAL mode",
    fix="End the transaction with each request: session.remove(), not expire_all(). Whoever turns "
    "on BEGIN for SQLite must first see that every reader ends.",
    build=build,
    engine="sqlite",
)
