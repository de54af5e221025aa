"""F1: a bound of the question was evaluated once, when the function was defined.

A default argument, a module's constant or a query that is built at import takes the time at which
the process began. What came later never matches. No session is at fault, and each request sends
its SELECT: only the parameter is old.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import Transaction, utc_now


def build(world: World) -> FlaskSite:
    """Make the app; the healed one takes the time in each request."""
    site = FlaskSite(world)

    def read_until(until: datetime = utc_now()) -> Sequence[Transaction]:  # noqa: B008 - the fault
        query = select(Transaction).where(Transaction.occurred_at <= until).order_by(Transaction.id)
        return site.db.session.scalars(query).all()

    @site.app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        return shown(read_until(utc_now()) if world.healed else read_until())

    return site


CAUSE = Cause(
    id="F1",
    title="the page asks for what is not newer than the start of the process",
    fix="Take the time in each request: no now() in a default argument, a module's constant or a "
    "query that is built at import.",
    build=build,
    patience=0.5,
)
