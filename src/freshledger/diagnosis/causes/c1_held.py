"""C1: objects are held, and the session that read them lives on; their rows are not looked at.

The session knows each object by its key. A SELECT that returns the row of an object it has
already gives that object back, and skips its attributes: they stay as they were first read. It
has the object for as long as anybody holds it, here a list that another function exports. New
rows are shown, the wire is fresh: only the object is old.
"""

from sqlalchemy import select

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import Transaction


def build(world: World) -> FlaskSite:
    """Make the app; the healed one ends its session with each request."""
    site = FlaskSite(world)
    session = site.read_by_thread(removed=world.healed)
    last_shown: list[Transaction] = []

    @site.app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        last_shown[:] = session.scalars(select(Transaction).order_by(Transaction.id))
        return shown(last_shown)

    return site


CAUSE = Cause(
    id="C1",
    title="the page's objects are held by a list, and its session gives the same ones again",
    fix="End the session with each request, and keep ids or plain values between requests, never "
    "objects; where one must be read anew in the same session, use populate_existing.",
    build=build,
)
