"""A1: a session per thread, and no request ever ends it.

`scoped_session` without its second half, `remove()` when the request is over: the session of a
server's thread serves all requests that come to the thread. Its transaction is as old as the
thread's first page. At REPEATABLE READ that freezes all rows (here); at READ COMMITTED only
those whose objects somebody holds (C1). Calls that are made in another thread get that one's own
session, and miss this one.
"""

from sqlalchemy import select

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import Transaction


def build(world: World) -> FlaskSite:
    """Make the app; the healed one removes the session when the request is over."""
    site = FlaskSite(world, isolation_level="REPEATABLE READ")
    session = site.read_by_thread(removed=world.healed)

    @site.app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        return shown(session.scalars(select(Transaction).order_by(Transaction.id)))

    return site


CAUSE = Cause(
    id="A1",
    title="the page's thread has one session for all its requests: nobody calls remove()",
    fix="One session for each request: call the registry's remove() in teardown_appcontext, or "
    "let Flask-SQLAlchemy do it.",
    build=build,
)
