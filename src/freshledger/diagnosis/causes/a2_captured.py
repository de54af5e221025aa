"""A2: the page reads a session that was captured once; db.session is another one.

`session = db.session()` at import, a default argument, an attribute of a view or service: they
call the registry once and keep what it gave. Its transaction lasts until somebody ends it.
"""

from sqlalchemy import select

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import Transaction


def build(world: World) -> FlaskSite:
    """Make the app; the healed one asks the registry in each request."""
    site = FlaskSite(world, isolation_level="REPEATABLE READ")
    with site.app.app_context():
        captured = site.db.session()
    if not world.healed:
        site.reading = lambda: captured

    @site.app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        query = select(Transaction).order_by(Transaction.id)
        return shown(site.reading().scalars(query))

    return site


CAUSE = Cause(
    id="A2",
    title="the page reads a captured session, which db.session's remedies do not reach",
    fix="Ask the registry in each request (db.session), never keep what it gave: no session in a "
    "default argument, a module, a class or a service.",
    build=build,
)
