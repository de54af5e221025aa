"""E2: the page's data is cached by a decorator; the app's own functions forget it, others do not.

`@cache.memoize`, `@lru_cache` and their like keep what a function returned. The functions of the
app that write say `cache.delete_memoized`: so each of them, whatever it writes, brings the page
up to date. A job, another program or somebody at the database's prompt says nothing, and what they
wrote is not seen before the cached value has expired. No session has anything to do with it.
"""

from collections.abc import Callable

from flask_caching import Cache
from sqlalchemy import select

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import Transaction


def build(world: World) -> FlaskSite:
    """Make the app; the healed one does not cache."""
    site = FlaskSite(world)
    cache = Cache(site.app, config={"CACHE_TYPE": "SimpleCache"})

    def load() -> dict[str, list[tuple[int, str]]]:
        return shown(site.db.session.scalars(select(Transaction).order_by(Transaction.id)))

    cached = cache.memoize()(load)

    def forgetting(function: Callable[[], None]) -> Callable[[], None]:
        def call() -> None:
            function()
            cache.delete_memoized(cached)

        return call

    site.same, site.own = forgetting(site.same), forgetting(site.own)

    @site.app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        found: dict[str, list[tuple[int, str]]] = load() if world.healed else cached()
        return found

    return site


CAUSE = Cause(
    id="E2",
    title="the page shows a cached result, which only the app's own functions invalidate",
    fix="Do not cache what must be current. Where a cache must be, whoever writes invalidates it "
    "(a NOTIFY of the database reaches all), or its key carries the data's version.",
    build=build,
    unobservable={"time": "an entry expires after five minutes, Flask-Caching's default"},
)
