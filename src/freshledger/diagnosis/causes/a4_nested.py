"""A4: what cleans up and what reads are in two contexts, one inside the other.

Flask-SQLAlchemy has a session per application context, and a nested one is another one. This job
does end its session after each round: in a function that enters a context of its own, as all
functions do here that were once "outside of application context". It ends the inner session,
which has just been made. The outer one, which reads, is neither refreshed nor ended, and what
inner ones commit, it does not see.
"""

from sqlalchemy import select

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite, write_contact
from freshledger.diagnosis.job import Job
from freshledger.diagnosis.tables import Transaction

Page = dict[str, list[tuple[int, str]]]


def build(world: World) -> FlaskSite:
    """Make the app; the healed one cleans up in the context that reads."""
    site = FlaskSite(world, isolation_level="REPEATABLE READ")
    session = site.db.session
    job = Job(site.app, context_for_each=False)
    job.feed(site)

    def clean_up() -> None:
        session.remove()
        session.expire_all()

    def clean_up_inside() -> None:
        with site.app.app_context():
            clean_up()

    def look() -> Page:
        page = shown(session.scalars(select(Transaction).order_by(Transaction.id)))
        (clean_up if world.healed else clean_up_inside)()
        return page

    @site.app.get("/page")
    def page() -> Page:
        return job.do(look)

    site.own = lambda: job.do(lambda: _write_inside(site))
    return site


def _write_inside(site: FlaskSite) -> None:
    with site.app.app_context():
        write_contact(site.db.session)


CAUSE = Cause(
    id="A4",
    title="the page is read in an outer app context, and refreshed in a nested one",
    fix="Enter the app context once, where the work begins, and hand the session on to functions: "
    "none of them enters another.",
    build=build,
)
