"""B8: a result that was read by half keeps SQLite's snapshot, through rollback and remove().

An export reads with yield_per and keeps its result for the next request, or forgets it. SQLite
reads on in the statement's snapshot until the statement is finished or closed. ROLLBACK does not
finish it: the session is removed with each request, and the pool hands out the connection with
the snapshot in it. No function can write by it ("database is locked"), hence none refreshes it.
"""

from collections.abc import Callable

from sqlalchemy import ScalarResult, select
from sqlalchemy.exc import OperationalError

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import Transaction


def build(world: World) -> FlaskSite:
    """Make the app; the healed one closes the result that it does not read to its end."""
    site = FlaskSite(world)
    session = site.db.session
    with site.app.app_context():
        session.connection().exec_driver_sql("PRAGMA journal_mode = WAL")
    exports: list[ScalarResult[int]] = []

    def begin_export() -> None:
        """Read the first of the rows; the next ones when they are asked for."""
        result = session.scalars(select(Transaction.id).execution_options(yield_per=1))
        exports.append(result)
        next(result)
        if world.healed:
            result.close()

    @site.app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        if not exports:
            begin_export()
        return shown(session.scalars(select(Transaction).order_by(Transaction.id)))

    site.same, site.own = _try(site, site.same), _try(site, site.own)
    return site


def _try(site: FlaskSite, write: Callable[[], None]) -> Callable[[], None]:
    def attempt() -> None:
        try:
            write()
        except OperationalError as error:
            site.db.session.rollback()
            site.app.logger.info("not written, please try again later: %s", error)

    return attempt


CAUSE = Cause(
    id="B8",
    title="the page's connection keeps the snapshot of a result that was never read to its end",
    fix="Read a result to its end or close it: with session.execute(query) as result. Nothing "
    "half-read lives on from request to request.",
    build=build,
    engine="sqlite",
)
