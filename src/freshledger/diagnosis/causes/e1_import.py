"""E1: what the page shows was read once, when the app was made.

A list in a module, the choices of a form's class, a layout or a settings row that the app
factory reads: the code that asks runs at import, and no request runs it again. Nobody's session
has anything to do with it, and no SELECT is sent.
"""

from sqlalchemy import select

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import Transaction


def build(world: World) -> FlaskSite:
    """Make the app; the healed one asks in each request."""
    site = FlaskSite(world)

    def load() -> dict[str, list[tuple[int, str]]]:
        return shown(site.db.session.scalars(select(Transaction).order_by(Transaction.id)))

    with site.app.app_context():
        transactions = load()

    @site.app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        return load() if world.healed else transactions

    return site


CAUSE = Cause(
    id="E1",
    title="the page shows what was read when the app was made or a module imported",
    fix="Ask in the request: no query at module or class level, in a default argument or in the "
    "app factory; give a form its choices in the view.",
    build=build,
)
