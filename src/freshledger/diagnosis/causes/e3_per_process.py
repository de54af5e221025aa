"""E3: each worker process keeps a cache of its own, and only one of them is told.

lru_cache, a dictionary, Flask-Caching's SimpleCache live in the process. With two workers there
are two of them: the app's function that invalidates the cache does so in the worker that happens
to run it, and the page is right or old by who answers it. Reloading, it flips.
"""

from collections.abc import Callable
from functools import lru_cache

from sqlalchemy import select

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import Transaction


def build(world: World) -> FlaskSite:
    """Make the app; the healed one does not cache."""
    site = FlaskSite(world)

    def load() -> dict[str, list[tuple[int, str]]]:
        return shown(site.db.session.scalars(select(Transaction).order_by(Transaction.id)))

    cached = lru_cache(load)

    def forgetting(function: Callable[[], None]) -> Callable[[], None]:
        def call() -> None:
            function()
            cached.cache_clear()

        return call

    site.same, site.own = forgetting(site.same), forgetting(site.own)

    @site.app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        return load() if world.healed else cached()

    return site


CAUSE = Cause(
    id="E3",
    title="the page shows the cache of whichever worker answers, and only one was invalidated",
    fix="Do not cache what must be current. Where a cache must be, it is one for all workers "
    "(Redis, Memcached), and whoever writes invalidates it.",
    build=build,
    server="workers",
    size=2,
    every_worker=True,
)
