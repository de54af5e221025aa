"""D4: autoflush is off; the session's own pending changes are not in its own query.

What was added waits in the session until a flush. With autoflush, a query flushes first; without
it the query asks the database as it is, and the new transaction is missing. What was set on an
object that is already there is shown, though the database does not have it. A unit of work that
collects edits until somebody saves is such a session; both remedies throw its edits away.
"""

from sqlalchemy import select

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import Transaction, utc_now


def build(world: World) -> FlaskSite:
    """Make the app; the healed one leaves autoflush on."""
    site = FlaskSite(world)
    session = site.read_by_thread(removed=False, autoflush=world.healed)

    @site.app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        return shown(session.scalars(select(Transaction).order_by(Transaction.id)))

    def edit(_site: FlaskSite) -> None:
        session.get_one(Transaction, 1).status = "confirmed"
        new = Transaction(id=4, wallet_id=1, txid="tx4", status="pending", occurred_at=utc_now())
        session.add(new)

    site.post("write", edit)
    return site


CAUSE = Cause(
    id="D4",
    title="the page's query does not see its own session's pending changes: autoflush is off",
    fix="Leave autoflush on, or flush before a query; commit a change in the request that makes it.",
    build=build,
    writes_itself=True,
)
