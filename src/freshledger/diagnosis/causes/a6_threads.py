"""A6: the session's scope is the thread, where a request is not one thread.

FastAPI runs `def` dependencies and views in threads of a pool, and `async` ones in the thread of
its loop. A registry of a session per thread, taken over from Flask, is removed at each request's
end, as one should: by an `async` middleware, hence in the loop's thread. The pool's threads, in
which the views run, keep their sessions, and each reads on in the transaction that its first
request began.
"""

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Annotated

from fastapi import Depends, Request, Response
from sqlalchemy import select
from starlette.middleware.base import RequestResponseEndpoint

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.fastapi_site import AnySession, FastapiSite
from freshledger.diagnosis.tables import Transaction


def build(world: World) -> FastapiSite:
    """Make the app; the healed one opens a session for each request, and hands it on."""
    site = FastapiSite(world, isolation_level="REPEATABLE READ")

    def get_session(request: Request) -> Iterator[AnySession]:
        with site.sessions() if world.healed else nullcontext(site.registry) as session:
            site.remedied(request, session)
            yield session

    @site.app.middleware("http")
    async def remove(request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        site.registry.remove()
        return response

    @site.app.get("/page")
    def page(
        session: Annotated[AnySession, Depends(get_session)],
    ) -> dict[str, list[tuple[int, str]]]:
        return shown(session.scalars(select(Transaction).order_by(Transaction.id)))

    site.add_functions(get_session)
    return site


CAUSE = Cause(
    id="A6",
    title="the page reads a session of its thread, and remove() is called in another thread",
    fix="Scope the session to the request, not to the thread: open it in a dependency (with "
    "sessions() as session: yield session) and hand it to whoever reads.",
    build=build,
    server="fastapi",
)
