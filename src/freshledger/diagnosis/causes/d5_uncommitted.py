"""D5: the write is flushed on a session that everybody shares, and not committed.

The row is in the database, in a transaction that is still open: the session that wrote it sees
it, so that everything seems well, and nobody else does. It appears when another function that
uses the same session commits; by a restart, a rollback or a remove() on it, it is lost.
"""

from sqlalchemy import select
from sqlalchemy.orm import Session

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import Contact, Transaction, utc_now


def build(world: World) -> FlaskSite:
    """Make the app: a service writes by its own session, the page reads db.session."""
    site = FlaskSite(world)
    with site.app.app_context():
        service = Session(site.db.engine)

    @site.app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        return shown(site.db.session.scalars(select(Transaction).order_by(Transaction.id)))

    def record(_site: FlaskSite) -> None:
        service.get_one(Transaction, 1).status = "confirmed"
        new = Transaction(id=4, wallet_id=1, txid="tx4", status="pending", occurred_at=utc_now())
        service.add(new)
        if world.healed:
            service.commit()
        else:
            service.flush()

    def add_contact() -> None:
        service.add(Contact(name="Alice"))
        service.commit()

    site.post("write", record)
    site.same = add_contact
    return site


CAUSE = Cause(
    id="D5",
    title="the page cannot see a write that was flushed and never committed",
    fix="Commit each write before it is answered, in the request that makes it, and close its "
    "session there; then no other function's commit is needed.",
    build=build,
    writes_itself=True,
)
