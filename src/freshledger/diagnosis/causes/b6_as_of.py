"""B6: the page's connection asks the database for the past.

Spanner's staleness, CockroachDB's follower reads and MariaDB's AS OF answer for a moment that the
connection names. Here a report, whose figures shall belong to one moment, sets that on a pooled
connection and does not take it back: the pool ends the transaction of a connection that returns
to it, and leaves its settings.
"""

from sqlalchemy import select, text

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import Transaction


def build(world: World) -> FlaskSite:
    """Make the app; the healed one's report sets its connection back."""
    site = FlaskSite(world)
    with site.app.app_context(), site.db.engine.connect() as connection:
        made = connection.execute(text("SHOW CREATE TABLE transactions")).one()[1]
        if "SYSTEM VERSIONING" not in made:
            connection.execute(text("ALTER TABLE transactions ADD SYSTEM VERSIONING"))
        connection.execute(text("SET system_versioning_asof = NOW(6)"))
        connection.execute(text("SELECT COUNT(*) FROM transactions")).one()  # the report
        if world.healed:
            connection.execute(text("SET system_versioning_asof = DEFAULT"))

    @site.app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        return shown(site.db.session.scalars(select(Transaction).order_by(Transaction.id)))

    return site


CAUSE = Cause(
    id="B6",
    title="the page's connection was told to read the past, and nobody took that back",
    fix="Ask for the past by the statement (AS OF in the query), not by the connection; else set "
    "it back, or in the pool's reset event.",
    build=build,
    engine="mariadb",
    patience=0.5,
)
