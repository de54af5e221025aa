"""A tiny faithful Quart app over AsyncSession, with what an experiment does to it.

A cause adds GET /page, and says by `reading` which session that page reads. The rest is as in
flask_site: the header `Remedy`, POST /same and /own. `view` means the registry `session`, and
`elsewhere` that of another task.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from quart import Quart, Response, request
from sqlalchemy.ext.asyncio import (
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)

from freshledger.database import async_url
from freshledger.diagnosis import copies
from freshledger.diagnosis.cause import World
from freshledger.diagnosis.evidence import HEADER, LOOK, PAGE_TABLE, REMEDY, header
from freshledger.diagnosis.tables import QUESTION, Contact

AnyAsyncSession = AsyncSession | async_scoped_session[AsyncSession]


class QuartSite:
    """The app, with `sessions` that keep what they loaded when they commit, as is advised.

    `session` is the registry of a session per task, which each request removes at its end;
    `options` are the engine's.
    """

    def __init__(self, world: World, **options: Any) -> None:  # noqa: ANN401 - SQLAlchemy's own
        self.app = Quart("payments")
        self.engine = create_async_engine(async_url(world.url), **options)
        self.sessions = async_sessionmaker(self.engine, expire_on_commit=False)
        self.session = async_scoped_session(self.sessions, scopefunc=asyncio.current_task)
        self.reading: Callable[[], AnyAsyncSession] = lambda: self.session
        self.same: Callable[[], Awaitable[None]] = lambda: _write_contact(self.reading())
        self.own: Callable[[], Awaitable[None]] = self._write_on_its_own
        copies.watch(QUESTION, table=PAGE_TABLE)
        self.app.before_request(self._begin)
        self.app.after_request(self._tell)
        self.app.teardown_request(self._end)
        self.post("same", lambda site: site.same())
        self.post("own", lambda site: site.own())

    def post(self, name: str, function: Callable[["QuartSite"], Awaitable[None]]) -> None:
        """Add a function of the app that writes."""

        async def answer() -> str:
            await function(self)
            return "done"

        self.app.add_url_rule(f"/{name}", name, answer, methods=["POST"])

    async def _begin(self) -> None:
        copies.start_hearing()
        remedy = request.headers.get(REMEDY)
        if remedy == "expire_all":
            self.reading().expire_all()
        elif remedy == "remove":
            session = self.reading()
            await (session.remove if isinstance(session, async_scoped_session) else session.close)()
        elif remedy == "view":
            await self._remedy_registry()
        elif remedy == "elsewhere":
            await asyncio.create_task(self._remedy_registry())

    async def _tell(self, response: Response) -> Response:
        response.headers[HEADER] = header(request.headers.get(LOOK, ""), copies.heard())
        return response

    async def _end(self, _error: BaseException | None) -> None:
        await self.session.remove()

    async def _remedy_registry(self) -> None:
        await self.session.remove()
        self.session.expire_all()

    async def _write_on_its_own(self) -> None:
        async with self.sessions() as session:
            await _write_contact(session)


async def _write_contact(session: AnyAsyncSession) -> None:
    session.add(Contact(name="Alice"))
    await session.commit()
