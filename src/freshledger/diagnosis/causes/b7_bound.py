"""B7: the session works on a Connection that was in a transaction before it came.

One Connection is opened when the app starts, told a setting, and kept; all sessions are bound to
it. To execute is to begin: the setting's transaction is never ended. A Session that finds one
joins it as a guest: close(), remove() and even commit() leave it open (the default of
join_transaction_mode), and what other functions commit by it is not committed. Only rollback()
ends it. Each request here removes its session, as it should, and nothing comes of it.
"""

from sqlalchemy import select, text
from sqlalchemy.orm import scoped_session, sessionmaker

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import Transaction


def build(world: World) -> FlaskSite:
    """Make the app; the healed one commits the setting before it hands on the Connection."""
    site = FlaskSite(world, isolation_level="REPEATABLE READ")
    with site.app.app_context():
        connection = site.db.engine.connect()
    connection.execute(text("SET application_name = 'payments'"))
    if world.healed:
        connection.commit()
    session = scoped_session(sessionmaker(connection))
    site.reading = lambda: session
    site.app.teardown_appcontext(lambda _error: session.remove())

    @site.app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        return shown(session.scalars(select(Transaction).order_by(Transaction.id)))

    return site


CAUSE = Cause(
    id="B7",
    title="the page's session is a guest in a transaction of the Connection that it is bound to",
    fix="Bind sessions to the engine. Settings of a connection belong in the pool's connect event; "
    "who executes by a Connection commits or rolls back by it.",
    build=build,
)
