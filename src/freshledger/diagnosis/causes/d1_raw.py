"""D1: the app writes past the ORM, by the session's own connection; its objects are not told.

A stored procedure, a trigger, SQL as text, a cursor of the driver: the rows change in the very
transaction of the session, and the objects it already has do not. Its own commit() would expire
them; here, as with raw cursors is usual, the driver's connection is committed instead, of which
the session hears nothing. The objects are held by a list that another function exports.
"""

from sqlalchemy import select

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import Transaction

CONFIRM = "UPDATE transactions SET status = 'confirmed' WHERE id = 1"
ADD = """
INSERT INTO transactions (id, wallet_id, txid, status, occurred_at)
VALUES (4, 1, 'tx4', 'pending', now())
"""


def build(world: World) -> FlaskSite:
    """Make the app; the healed one tells its session of it."""
    site = FlaskSite(world)
    session = site.read_by_thread(removed=False)
    last_shown: list[Transaction] = []

    @site.app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        last_shown[:] = session.scalars(select(Transaction).order_by(Transaction.id))
        return shown(last_shown)

    def confirm(_site: FlaskSite) -> None:
        raw = session.connection().connection
        cursor = raw.cursor()
        cursor.execute(CONFIRM)
        cursor.execute(ADD)
        cursor.close()
        raw.commit()
        if world.healed:
            session.expire_all()

    site.post("write", confirm)
    return site


CAUSE = Cause(
    id="D1",
    title="the page's objects are not told what raw SQL in their own session changed",
    fix="Write by the ORM, or expire what raw SQL has changed; commit by the session, which "
    "expires its objects, never by the driver's connection.",
    build=build,
    writes_itself=True,
)
