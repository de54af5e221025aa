"""B1: InnoDB's snapshot: nobody chose an isolation level, and nobody ends the transaction.

MariaDB and MySQL begin at REPEATABLE READ. The first read of a transaction takes a snapshot, and
all its later reads are answered from that until COMMIT or ROLLBACK. Here the page's own session,
its thread's, begins that transaction with its first page and is never told that the request is
over. expire_all() has every row read anew: from the same snapshot.
"""

from sqlalchemy import select

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import Transaction


def build(world: World) -> FlaskSite:
    """Make the app; the healed one ends the session with the request."""
    site = FlaskSite(world)
    session = site.read_by_thread(removed=world.healed)

    @site.app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        return shown(session.scalars(select(Transaction).order_by(Transaction.id)))

    return site


CAUSE = Cause(
    id="B1",
    title="the page reads on in a transaction of MariaDB, which is REPEATABLE READ unasked",
    fix="End the transaction with each request: session.remove() in teardown_appcontext. READ "
    "COMMITTED as the engine's isolation_level makes the fault rarer, and does not replace that.",
    build=build,
    engine="mariadb",
)
