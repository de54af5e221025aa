"""F4: the question drops the new row: it joins what the row does not have yet.

The page shows the rate beside each transaction and joins the table of rates, which a nightly job
fills. A transaction without a rate falls out of an INNER JOIN. A LIMIT without ORDER BY, or a
filter by a status that the new row does not have, drop it in the same way.
"""

from sqlalchemy import Column, Integer, MetaData, Numeric, Table, func, insert, select

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import BEFORE, Transaction

RATES = Table(
    "rates",
    MetaData(),
    Column("transaction_id", Integer, primary_key=True, autoincrement=False),
    Column("usd", Numeric, nullable=False),
)


def build(world: World) -> FlaskSite:
    """Make the app; the healed one shows also what has no rate."""
    site = FlaskSite(world)
    with site.app.app_context(), site.db.engine.begin() as connection:
        RATES.create(connection, checkfirst=True)
        if not connection.scalar(select(func.count()).select_from(RATES)):  # last night's
            nightly = [{"transaction_id": id_, "usd": 100} for id_, _ in BEFORE]
            connection.execute(insert(RATES), nightly)

    @site.app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        rated = RATES.c.transaction_id == Transaction.id
        query = select(Transaction).join(RATES, rated, isouter=world.healed)
        return shown(site.db.session.scalars(query.order_by(Transaction.id)))

    return site


CAUSE = Cause(
    id="F4",
    title="the page's question drops the new row by an INNER JOIN, a LIMIT or a filter",
    fix="Use an outer join for what may be missing, and no LIMIT without an ORDER BY; compare "
    "with the same table read by its key alone.",
    build=build,
    patience=0.5,
)
