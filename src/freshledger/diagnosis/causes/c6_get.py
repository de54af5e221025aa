"""C6: `session.get()` finds the wallet in the session and sends no SELECT at all.

get() looks into the session first. What is there and not expired is given back as it is, and
the loader options of the call, which should have fetched the transactions with it, do nothing.
"""

from sqlalchemy.orm import selectinload

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import Wallet


def build(world: World) -> FlaskSite:
    """Make the app; the healed one has get() overwrite what it finds."""
    site = FlaskSite(world)
    session = site.read_by_thread(removed=False)
    opened: dict[int, Wallet] = {}

    @site.app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        opened[1] = session.get_one(
            Wallet,
            1,
            options=[selectinload(Wallet.transactions)],
            populate_existing=world.healed,
        )
        return shown(opened[1].transactions)

    return site


CAUSE = Cause(
    id="C6",
    title="the page asks session.get(), which answers from the session without a SELECT",
    fix="End the session with each request; within one, call get() with populate_existing=True "
    "where the latest state matters.",
    build=build,
)
