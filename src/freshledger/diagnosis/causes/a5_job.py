"""A5: a job feeds the page, and its session has lasted since the job began.

`with app.app_context():` stands around the job's loop, not inside it: one context, one
db.session, no teardown. The job watches pending transactions until they are confirmed, and so
holds their objects: whatever it reads again, their status stays what it was, while new rows are
seen. The page shows what the job knows. Calls on db.session in a view or another function get
the request's own session; only a function that the job itself carries out commits its session.
"""

from sqlalchemy import select

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.job import Job
from freshledger.diagnosis.tables import Transaction

Page = dict[str, list[tuple[int, str]]]


def build(world: World) -> FlaskSite:
    """Make the app; the healed one's job enters a context for each round."""
    site = FlaskSite(world)
    job = Job(site.app, context_for_each=world.healed)
    job.feed(site)
    watched: dict[int, Transaction] = {}

    def look() -> Page:
        found = list(site.db.session.scalars(select(Transaction).order_by(Transaction.id)))
        watched.update((each.id, each) for each in found if each.status == "pending")
        return shown(found)

    @site.app.get("/page")
    def page() -> Page:
        return job.do(look)

    return site


CAUSE = Cause(
    id="A5",
    title="the page shows what a background job reads in a session as old as the job",
    fix="Enter the app context inside the loop, or call db.session.remove() as its last line; "
    "keep ids from round to round, never objects.",
    build=build,
)
