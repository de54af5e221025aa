"""D6: the commit comes after the response.

FastAPI ends a dependency with `yield` once the response is sent, unless it is told otherwise.
Who commits there has said "done" before it is done: the browser that follows the redirect reads
what was there before. It heals once the commit is through, within milliseconds, or, where
something slow stands before it, seconds; where it fails, or the process ends, never.
"""

import time
from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import select
from sqlalchemy.orm import Session

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.fastapi_site import FastapiSite
from freshledger.diagnosis.tables import Transaction, write

SECONDS = 2
"""How long another system takes to be told of a change."""


def build(world: World) -> FastapiSite:
    """Make the app; the healed one ends the dependency with its function, before the response."""
    site = FastapiSite(world)

    def get_session(request: Request) -> Iterator[Session]:
        with site.sessions() as session:
            site.remedied(request, session)
            yield session
            if session.info.pop("changed", False):
                time.sleep(SECONDS)
            session.commit()

    opened = Depends(get_session, scope="function" if world.healed else "request")

    @site.app.get("/page")
    def page(session: Annotated[Session, opened]) -> dict[str, list[tuple[int, str]]]:
        return shown(session.scalars(select(Transaction).order_by(Transaction.id)))

    @site.app.post("/write")
    def change(session: Annotated[Session, opened]) -> str:
        write(session.connection())
        session.info["changed"] = True
        return "done"

    site.add_functions(get_session)
    return site


CAUSE = Cause(
    id="D6",
    title="the page shows what was before a write that was answered before it was committed",
    fix="Commit in the view, before the response is made, or end the dependency with it: "
    'Depends(get_session, scope="function").',
    build=build,
    server="fastapi",
    writes_itself=True,
    patience=SECONDS + 0.5,
    within=SECONDS,
)
