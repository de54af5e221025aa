"""C5: the page refreshes the wallet; the transactions it reaches from there stay as they are.

`refresh()` reads the wallet anew, and its collection, so that new rows are found. What it does
not do is to overwrite other objects that the session has: a transaction that is still held keeps
its attributes, though its row has just come over the wire. The same goes for joinedload() and
with_for_update(): they SELECT, or even lock, rows whose objects are not touched.
"""

from sqlalchemy import select

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import Transaction, Wallet


def build(world: World) -> FlaskSite:
    """Make the app; the healed one overwrites the transactions too."""
    site = FlaskSite(world)
    session = site.read_by_thread(removed=False)
    last_shown: list[Transaction] = []

    @site.app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        wallet = session.get_one(Wallet, 1)
        session.refresh(wallet)
        if world.healed:
            query = select(Transaction).where(Transaction.wallet == wallet)
            session.scalars(query.execution_options(populate_existing=True)).all()
        last_shown[:] = wallet.transactions
        return shown(last_shown)

    return site


CAUSE = Cause(
    id="C5",
    title="the page refreshes a wallet, which leaves its transactions' own values untouched",
    fix="Refresh the very objects that are shown, or read them with populate_existing; best, end "
    "the session with each request.",
    build=build,
)
