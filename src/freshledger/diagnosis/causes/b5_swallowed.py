"""B5: a transaction is left behind by an exception that is handled, without its clean-up.

The view ends its session itself, in its last line. Something that the page could do without
fails before that line, a rate that is not to be had, and the handler shows the page without it:
it is right, status 200, and the transaction stays open. As long as the rate is missing, every
page reads on in it. A generator that is never exhausted or closed leaves the same behind.
"""

from sqlalchemy import select

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import Transaction


def build(world: World) -> FlaskSite:
    """Make the app; the healed one ends its session in a teardown, which no exception skips."""
    site = FlaskSite(world, isolation_level="REPEATABLE READ")
    session = site.read_by_thread(removed=world.healed)

    @site.app.get("/page")
    def page() -> dict[str, object]:
        query = select(Transaction).order_by(Transaction.id)
        answer: dict[str, object] = {**shown(session.scalars(query))}
        try:
            answer["rate"] = fetch_rate()
            session.remove()
        except ConnectionError:
            site.app.logger.info("no rate at present: the page goes without it")
        return answer

    return site


def fetch_rate() -> str:
    """Ask a service that is down."""
    raise ConnectionError


CAUSE = Cause(
    id="B5",
    title="the page reads on in a transaction that a handled exception left open",
    fix="End sessions where no exception can skip it: with sessions() as session:, a teardown, "
    "finally; and roll back in every except that goes on.",
    build=build,
)
