"""A tiny faithful FastAPI app over Session, with what an experiment does to it.

A cause adds GET /page, and gives the dependency by which its views get their session; it passes
that session through `remedied` before it is read. The rest is as in flask_site: the header
`Remedy`, POST /same, on such a session, and /own.
"""

import threading
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from sqlalchemy import create_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from freshledger.diagnosis import copies
from freshledger.diagnosis.cause import World
from freshledger.diagnosis.evidence import HEADER, LOOK, PAGE_TABLE, REMEDY, header
from freshledger.diagnosis.tables import QUESTION, Contact

AnySession = Session | scoped_session[Session]


class FastapiSite:
    """The app, with `sessions` and a `registry` of one per thread; `options` are the engine's."""

    def __init__(self, world: World, **options: Any) -> None:  # noqa: ANN401 - SQLAlchemy's own
        self.app = FastAPI()
        self.engine = create_engine(world.url, **options)
        self.sessions = sessionmaker(self.engine)
        self.registry = scoped_session(self.sessions)
        copies.watch(QUESTION, table=PAGE_TABLE)
        self.app.add_middleware(_Evidence)

    def remedied(self, request: Request, session: AnySession) -> None:
        """Do what the request's header says to the session that its view is about to read."""
        remedy = request.headers.get(REMEDY)
        if remedy == "expire_all":
            session.expire_all()
        elif remedy == "remove":
            (session.remove if isinstance(session, scoped_session) else session.close)()
        elif remedy == "view":
            self._remedy_registry()
        elif remedy == "elsewhere":
            thread = threading.Thread(target=self._remedy_registry)
            thread.start()
            thread.join()

    def _remedy_registry(self) -> None:
        self.registry.remove()
        self.registry.expire_all()

    def add_functions(self, get_session: Callable[..., Any]) -> None:
        """Add the app's other functions: on a session of the dependency, and on one of its own."""

        @self.app.post("/same")
        def same(session: Annotated[AnySession, Depends(get_session)]) -> str:
            _write_contact(session)
            return "done"

        @self.app.post("/own")
        def own() -> str:
            with self.sessions() as session:
                _write_contact(session)
            return "done"


class _Evidence:
    """Hears what a request sends to the database, and tells it in a header of the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        heard = copies.start_hearing()
        look = Headers(scope=scope).get(LOOK, "")

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = header(look, heard)
            await send(message)

        await self._app(scope, receive, tell)


def _write_contact(session: AnySession) -> None:
    session.add(Contact(name="Alice"))
    session.commit()
