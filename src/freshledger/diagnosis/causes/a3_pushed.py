"""A3: an application context is pushed at import, and all requests are served inside it.

Up to Flask 3.1 a request that finds a context of its app pushes none of its own, hence pops
none, and teardown_appcontext never runs. Flask-SQLAlchemy ends its session there, and knows the
session by the context's id: one db.session for all requests of the worker. It needs a server
that serves where the app was imported, as gunicorn's sync workers do; in new threads it hides.
"""

from sqlalchemy import select

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import Transaction


def build(world: World) -> FlaskSite:
    """Make the app; the healed one leaves the context once it is set up."""
    site = FlaskSite(world, isolation_level="REPEATABLE READ")
    context = site.app.app_context()
    context.push()
    site.db.create_all()
    site.db.engine.dispose()  # the workers are forked after this
    if world.healed:
        context.pop()

    @site.app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        return shown(site.db.session.scalars(select(Transaction).order_by(Transaction.id)))

    return site


CAUSE = Cause(
    id="A3",
    title="the worker serves inside a pushed app context, so that db.session is never removed",
    fix="Never push an application context outside of a request: with app.app_context(): around "
    "the set-up only. Flask 3.2 is to give each request its own.",
    build=build,
    server="workers",
)
