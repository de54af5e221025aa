"""C2: nobody holds the objects but they each other, until the garbage collector comes by.

The session holds its objects weakly, so that what is not in use is read anew. A wallet that
knows its transactions, and they their wallet, are a cycle: they outlive the page until the cyclic
collector runs, and so long the session gives the same objects with their old values again.

When it runs is a matter of what else the process does. With CPython 3.11's own thresholds 1500
looks at this page did not make it run, and it took two dozen uses of another function; one that
builds many objects may do it at once. Here, as on servers that are tuned for steady answers, it is
told to collect rarely, and a thread collects when nothing has been asked for a while: so time
cures, and a single small function does not.
"""

import gc
import threading

from sqlalchemy import select

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import Transaction, Wallet

RARELY = 100_000
"""How many objects more than were freed are made before Python collects by itself."""

IDLE = 1.5
"""Seconds without a request after which the app collects."""


def _collect_when_idle(asked: threading.Event) -> None:
    while asked.wait():
        asked.clear()
        if not asked.wait(IDLE):
            gc.collect()


def build(world: World) -> FlaskSite:
    """Make the app; the healed one ends its session with each request."""
    site = FlaskSite(world)
    session = site.read_by_thread(removed=world.healed)
    gc.set_threshold(RARELY)
    asked = threading.Event()
    site.app.before_request(asked.set)
    threading.Thread(target=_collect_when_idle, args=(asked,), daemon=True).start()

    @site.app.get("/page")
    def page() -> dict[str, object]:
        transactions = session.scalars(select(Transaction).order_by(Transaction.id)).all()
        wallets: set[Wallet] = {each.wallet for each in transactions}
        counts = {wallet.name: len(wallet.transactions) for wallet in wallets}
        return {**shown(transactions), "counts": counts}

    return site


CAUSE = Cause(
    id="C2",
    title="the page's objects keep each other alive until the garbage collector runs",
    fix="End the session with each request; it is not enough that nobody holds its objects, as "
    "a relationship loaded from both sides is a cycle.",
    build=build,
    patience=IDLE + 1,
    within=IDLE,
)
