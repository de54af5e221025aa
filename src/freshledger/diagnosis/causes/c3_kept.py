"""C3: an AsyncSession with expire_on_commit=False outlives its transaction.

For async, sessions are advised to keep what they loaded when they commit: an attribute that is
read later cannot load. That is safe while a session lives for one request. A service that is made
once and keeps its session ends each transaction properly, and still shows what it loaded first:
an object that somebody holds is not written over by what a later SELECT brings, and no commit,
its own or another function's, expires it.
"""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.quart_site import QuartSite
from freshledger.diagnosis.tables import Transaction


class Transactions:
    """The service; `latest` is what was listed last, to tell what is new."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session
        self.latest: list[Transaction] = []

    async def list(self) -> list[Transaction]:
        """Return all transactions."""
        async with self.session.begin():
            found = await self.session.scalars(select(Transaction).order_by(Transaction.id))
            self.latest = list(found)
        return self.latest


def build(world: World) -> QuartSite:
    """Make the app; the healed one makes the service in each request."""
    site = QuartSite(world)
    kept = Transactions(site.sessions())
    if not world.healed:
        site.reading = lambda: kept.session

    @site.app.get("/page")
    async def page() -> dict[str, list[tuple[int, str]]]:
        service = Transactions(site.session()) if world.healed else kept
        return shown(await service.list())

    return site


CAUSE = Cause(
    id="C3",
    title="the page reads an async session that outlives its commits and never expires",
    fix="With expire_on_commit=False, give each request a session of its own (async with "
    "sessions() as session), and keep neither it nor its objects.",
    build=build,
    server="quart",
)
