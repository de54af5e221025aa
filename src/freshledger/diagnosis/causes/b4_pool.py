"""B4: the pool hands out a connection that is still inside a transaction.

`pool_reset_on_return=None` saves the ROLLBACK of each check-in, and SQLAlchemy ends what it has
begun itself. This page asks the driver, by `raw_connection()`, as code of reports does. The
driver begins a transaction unasked, close() gives the connection back in the midst of it, and
the next page gets it as it is. No session has any part in it: remove() and expire_all() find
nothing to do. But any function that writes by a session gets the same connection from the pool,
and its commit ends that transaction too.
"""

from sqlalchemy import select

from freshledger.diagnosis import copies
from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import PAGE_TABLE
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import QUESTION, Transaction

Page = dict[str, list[tuple[int, str]]]


def build(world: World) -> FlaskSite:
    """Make the app; the healed one has the pool reset what comes back."""
    reset = "rollback" if world.healed else None
    site = FlaskSite(world, isolation_level="REPEATABLE READ", pool_reset_on_return=reset)
    query = str(select(Transaction.id, Transaction.status).order_by(Transaction.id))

    @site.app.get("/page")
    def page() -> Page:
        raw = site.db.engine.raw_connection()
        cursor = raw.cursor()
        cursor.execute(query)
        rows = cursor.fetchall()
        copies.note(raw, site.db.engine.dialect, query, (), QUESTION, PAGE_TABLE)
        cursor.close()
        raw.close()
        return {"transactions": [tuple(row) for row in rows]}

    return site


CAUSE = Cause(
    id="B4",
    title="the page gets a connection from the pool that is still inside an old transaction",
    fix="Leave pool_reset_on_return as it is (rollback). Who asks the driver ends what it began: "
    "rollback() before close().",
    build=build,
)
