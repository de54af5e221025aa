"""E5: the page walks as many pages as an old count says.

Counting is slow, so the number of rows is kept (here by lru_cache; as often in a Pagination object
or an iterator of its pages that lives on). The rows themselves are asked for each time and are
right; but what comes after the last page of then is never asked for.
"""

from functools import lru_cache
from math import ceil

from sqlalchemy import func, select

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import Transaction

PAGE = 3


def build(world: World) -> FlaskSite:
    """Make the app; the healed one counts in each request."""
    site = FlaskSite(world)

    def count() -> int:
        return site.db.session.scalar(select(func.count()).select_from(Transaction)) or 0

    total = count if world.healed else lru_cache(count)

    @site.app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        query = select(Transaction).order_by(Transaction.id)
        pages = [
            site.db.paginate(query, page=number, per_page=PAGE, count=False).items
            for number in range(1, ceil(total() / PAGE) + 1)
        ]
        return shown(each for items in pages for each in items)

    return site


CAUSE = Cause(
    id="E5",
    title="the page ends where a count or Pagination object kept from earlier says it ends",
    fix="Count in the same request as the rows are read, or do not count: ask for one row more "
    "than is shown to know whether there is a next page.",
    build=build,
)
