"""C4: a wallet's transactions were loaded once; nothing asks for the collection again.

A loaded relationship is an attribute like any other: reading `wallet.transactions` sends no
SELECT, and a row that somebody else gave the wallet, or that got its `wallet_id` set by hand,
does not enter it. The page does SELECT the wallet; its transactions are never asked for.
"""

from sqlalchemy import select

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import Wallet


def build(world: World) -> FlaskSite:
    """Make the app; the healed one ends its session with each request."""
    site = FlaskSite(world)
    session = site.read_by_thread(removed=world.healed)
    opened: dict[str, Wallet] = {}

    @site.app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        wallet = session.scalars(select(Wallet).where(Wallet.name == "Ledger")).one()
        opened[wallet.name] = wallet
        return shown(wallet.transactions)

    return site


CAUSE = Cause(
    id="C4",
    title="the page shows a wallet's transactions, a collection that was loaded once",
    fix="End the session with each request; within one, expire or refresh the collection after "
    "its rows changed, and append to it instead of setting the foreign key.",
    build=build,
)
