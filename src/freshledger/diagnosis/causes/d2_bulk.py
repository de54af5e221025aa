"""D2: a bulk UPDATE with synchronize_session=False; the objects in the session stay as they are.

The statement goes to the database, and by that option nothing is matched against the objects
that the session has. commit() would expire them; here the engine is in AUTOCOMMIT, the rows are
written at once, and nobody calls it. The objects are held by a list that another function exports.
"""

from sqlalchemy import insert, select, update

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import Transaction, utc_now


def build(world: World) -> FlaskSite:
    """Make the app; the healed one synchronizes."""
    site = FlaskSite(world, isolation_level="AUTOCOMMIT")
    session = site.read_by_thread(removed=False)
    last_shown: list[Transaction] = []

    @site.app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        last_shown[:] = session.scalars(select(Transaction).order_by(Transaction.id))
        return shown(last_shown)

    def confirm(_site: FlaskSite) -> None:
        session.execute(
            update(Transaction).where(Transaction.id == 1).values(status="confirmed"),
            execution_options={"synchronize_session": "fetch" if world.healed else False},
        )
        new = {"id": 4, "txid": "tx4", "status": "pending", "occurred_at": utc_now()}
        session.execute(insert(Transaction), [new])

    site.post("write", confirm)
    return site


CAUSE = Cause(
    id="D2",
    title="the page's objects are not told of a bulk UPDATE with synchronize_session=False",
    fix="Leave synchronize_session at 'auto', or 'fetch'; else expire the objects, and end the "
    "session with each request.",
    build=build,
    writes_itself=True,
)
