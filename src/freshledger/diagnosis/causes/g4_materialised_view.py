"""G4: the page reads a materialised view, which only the app's own functions refresh.

A materialised view, a summary table or a search index is a copy of its own: it shows what was
there at its last refresh, whatever the sessions do. The app's functions that write refresh it, so
that each of them brings the page up to date. A job, or another program that writes, does not.
"""

from collections.abc import Callable

from sqlalchemy import column, select, table, text

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite

VIEW = (
    "CREATE MATERIALIZED VIEW IF NOT EXISTS listed_transactions"
    " AS SELECT id, status FROM transactions WITH NO DATA"
)
REFRESH = "REFRESH MATERIALIZED VIEW listed_transactions"


def build(world: World) -> FlaskSite:
    """Make the app; the healed one reads the table."""
    relation = "transactions" if world.healed else "listed_transactions"
    site = FlaskSite(world, relation=relation)
    listing = table(relation, column("id"), column("status"))

    def refresh() -> None:
        with site.app.app_context(), site.db.engine.begin() as connection:
            connection.execute(text(VIEW))
            connection.execute(text(REFRESH))

    def refreshing(function: Callable[[], None]) -> Callable[[], None]:
        def call() -> None:
            function()
            refresh()

        return call

    site.same, site.own = refreshing(site.same), refreshing(site.own)
    installed = world.folder / "installed"
    if not installed.exists():
        refresh()
        installed.touch()

    @site.app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        return shown(site.db.session.execute(select(listing).order_by(listing.c.id)))

    return site


CAUSE = Cause(
    id="G4",
    title="the page reads a materialised view, which only the app's own functions refresh",
    fix="Read the table, or let every writer refresh the view; the view shows itself by relkind "
    "'m' of what the SELECT names.",
    build=build,
    patience=0.5,
)
