"""The session of a request: its own, made on first use, committed once, always closed.

The order of things, and why (tests/web/test_session.py has a test for each line):

- The session belongs to the request, never to `g`, which requests may share.
- The commit is the last `after_request` function, so that nothing after it can turn a
  committed write into an error. It is registered first, for they run in reverse order.
- `teardown_request` closes, whatever happened; after_request may have been skipped.
- The request runs in a task of its own, which a client that goes away does not cancel: a
  write is then whole or absent. Only a body that will never arrive is given up.
- Deadlocks and serialization failures run the whole unit again, hooks and COMMIT included.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, cast

from quart import Quart, Request, current_app, request
from quart.ctx import RequestContext
from quart.typing import ResponseTypes
from quart.wrappers.request import Body
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from freshledger.database import Database, is_retryable, refusal

READING = frozenset({"GET", "HEAD", "OPTIONS"})
TRIES = 3
"""How often a unit of work that meets a deadlock or serialization failure is run in all."""


class UnitOfWork:
    """One request's session: `writes` says which of the two makers it comes from."""

    def __init__(self, maker: async_sessionmaker[AsyncSession], *, writes: bool) -> None:
        self._maker = maker
        self.writes = writes
        self._session: AsyncSession | None = None

    @property
    def session(self) -> AsyncSession:
        """The session, made on first use; its first statement takes the connection."""
        if self._session is None:
            self._session = self._maker()
        return self._session

    async def finish(self, *, successful: bool) -> None:
        """Commit or roll back what was begun; a second call has nothing left to do."""
        if self._session is None or not self._session.in_transaction():
            return
        if successful:
            await self._session.commit()
        else:
            await self._session.rollback()

    async def close(self) -> None:
        """Give the connection back; what was not committed is rolled back."""
        session, self._session = self._session, None
        if session is not None:
            await _to_the_end(session.close())


class _CompleteBody(Body):
    @property
    def complete(self) -> bool:
        """Whether all of the body has arrived."""
        return self._complete.is_set()


class FreshRequest(Request):
    """A request that carries its unit of work."""

    body_class = _CompleteBody
    unit: UnitOfWork | None = None


class FreshQuart(Quart):
    """Quart with units of work that are whole or absent."""

    request_class = FreshRequest
    database: Database

    async def handle_request(self, request: Request) -> ResponseTypes:
        """Handle a request in a task that outlives a client that goes away."""
        task = asyncio.create_task(super().handle_request(request))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not cast("_CompleteBody", request.body).complete:
                task.cancel()
            await asyncio.wait([task])
            raise

    async def full_dispatch_request(
        self, request_context: RequestContext | None = None
    ) -> ResponseTypes:
        """Run view, hooks and COMMIT; again after a deadlock or a serialization failure."""
        tries = 1
        while True:
            try:
                return await super().full_dispatch_request(request_context)
            except (DBAPIError, PoolTimeout) as error:
                await _unit().close()
                busy = refusal(error)
                if busy is None:
                    raise
                if tries == TRIES or not _may_run_again(error):
                    answer = await self.handle_user_exception(busy)
                    return await self.finalize_request(answer, request_context)
            tries += 1


def install(app: FreshQuart) -> None:
    """Give every request of `app` its unit of work; call this before any other hook."""
    app.before_request(_begin)
    app.after_request(_finish)
    app.teardown_request(_close)


def current_session() -> AsyncSession:
    """Return the request's session; there is none in streams and background tasks."""
    return _unit().session


@asynccontextmanager
async def snapshot() -> AsyncIterator[AsyncSession]:
    """Read several statements from one snapshot (REPEATABLE READ, READ ONLY).

    For reading requests. A writing one has its own transaction, and yields that.
    """
    unit = _unit()
    if not unit.writes:
        await unit.finish(successful=True)
        await unit.session.connection(
            execution_options={"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        )
    try:
        yield unit.session
    finally:
        if not unit.writes:
            await unit.finish(successful=False)


def _unit() -> UnitOfWork:
    unit = cast("FreshRequest", request).unit
    if unit is None:
        raise RuntimeError("no unit of work: web.session.install was not called")
    return unit


def _may_run_again(error: DBAPIError | PoolTimeout) -> bool:
    if not isinstance(error, DBAPIError):
        return False
    return is_retryable(error) or (error.connection_invalidated and not _unit().writes)


async def _begin() -> None:
    """Read the body before the first query: a slow client must not hold a connection."""
    current = cast("FreshRequest", request)
    writes = current.method not in READING
    database = cast("FreshQuart", current_app).database
    maker = database.write if writes else database.read
    current.unit = UnitOfWork(maker, writes=writes)
    if writes:
        await current.get_data(cache=True, as_text=False, parse_form_data=True)


async def _finish(response: Any) -> Any:  # noqa: ANN401 - Quart's own union of responses
    await _unit().finish(successful=response.status_code < 400)  # noqa: PLR2004 - 4xx and 5xx
    return response


async def _close(_error: BaseException | None) -> None:
    unit = cast("FreshRequest", request).unit
    if unit is not None:
        await unit.close()


async def _to_the_end(work: Awaitable[None]) -> None:
    """Await `work` to its end even when this task is cancelled meanwhile; then be cancelled."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
