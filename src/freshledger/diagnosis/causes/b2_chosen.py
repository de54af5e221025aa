"""B2: REPEATABLE READ or more was chosen, in the database; and who only reads never commits.

PostgreSQL takes a snapshot per statement unless somebody asks for more: isolation_level= in the
code, or, where the code shows nothing of it, default_transaction_isolation of the server, the
database or the role (here: of the connection). Then a transaction sees its first moment until it
ends; and this app ends it only where there is something to commit. Pages have nothing.
"""

from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session, scoped_session

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import Transaction


def build(world: World) -> FlaskSite:
    """Make the app; the healed one ends the session, whether or not it wrote."""
    chosen = {"options": "-c default_transaction_isolation=serializable"}
    site = FlaskSite(world, connect_args=chosen)
    session = site.read_by_thread(removed=world.healed)
    _commit_what_was_written(site.app, session)

    @site.app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        return shown(session.scalars(select(Transaction).order_by(Transaction.id)))

    return site


def _commit_what_was_written(app: Flask, session: scoped_session[Session]) -> None:
    @app.teardown_appcontext
    def commit(_error: BaseException | None) -> None:
        if session.new or session.dirty or session.deleted:
            session.commit()


CAUSE = Cause(
    id="B2",
    title="the page reads on in a SERIALIZABLE transaction that ends only when there are writes",
    fix="End the transaction after reading too: session.remove() or rollback() in teardown. See "
    "what SHOW transaction_isolation answers to the app, not what its code says.",
    build=build,
)
