"""G4: the page reads a materialised view that nobody refreshed since.

A materialised view, a summary table or a search index is a copy of its own. It shows what was
there at its last refresh, here the nightly one, whatever the sessions do.
"""

from sqlalchemy import column, select, table, text

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite

LISTING = table("listed_transactions", column("id"), column("status"))
MAKE = (
    "CREATE MATERIALIZED VIEW IF NOT EXISTS listed_transactions"
    " AS SELECT id, status FROM transactions WITH NO DATA"
)
REFRESH = text("REFRESH MATERIALIZED VIEW listed_transactions")


def build(world: World) -> FlaskSite:
    """Make the app; the healed one refreshes the view before it reads."""
    site = FlaskSite(world)
    last_night = world.folder / "refreshed"
    if not last_night.exists():
        with site.app.app_context(), site.db.engine.begin() as connection:
            connection.execute(text(MAKE))
            connection.execute(REFRESH)
        last_night.touch()

    @site.app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        if world.healed:
            site.db.session.execute(REFRESH)
        return shown(site.db.session.execute(select(LISTING).order_by(LISTING.c.id)))

    return site


CAUSE = Cause(
    id="G4",
    title="the page reads a materialised view that was not refreshed",
    fix="Read the table, or refresh the view after each write (by a trigger, or with the writer's "
    "commit); ask relkind of what the SELECT names.",
    build=build,
    patience=0.5,
)
