"""E4: the page shows objects of the ORM that were cached by their ids.

Each request asks which transactions there are, and takes the objects it knows from a cache:
`merge(load=False)` puts a copy with the attributes of then into the session, and sends nothing for
it. So new rows appear, and old ones keep their values. The remedies come before the merge and find
nothing; a flask.session, a token or a `current_user` that carries columns does the same.
"""

from flask_caching import Cache
from sqlalchemy import select

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import Transaction


def build(world: World) -> FlaskSite:
    """Make the app; the healed one loads the objects in each request."""
    site = FlaskSite(world)
    cache = Cache(site.app, config={"CACHE_TYPE": "SimpleCache", "CACHE_DEFAULT_TIMEOUT": 0})

    def fetch(id_: int) -> Transaction:
        session = site.db.session
        cached: Transaction | None = None if world.healed else cache.get(f"transaction-{id_}")
        if cached:
            return session.merge(cached, load=False)
        found = session.get_one(Transaction, id_)
        cache.set(f"transaction-{id_}", found)
        return found

    @site.app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        ids = site.db.session.scalars(select(Transaction.id).order_by(Transaction.id))
        return shown([fetch(id_) for id_ in ids])

    return site


CAUSE = Cause(
    id="E4",
    title="the page shows objects that were cached across requests, detached or pickled",
    fix="Cache ids, not objects of the ORM; load the objects in each request, in one SELECT, and "
    "do not merge cached ones with load=False.",
    build=build,
)
