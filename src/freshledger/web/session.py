"""The session of a request: its own, made on first use, committed once, always closed.

The order of things, and why (tests/web/test_session.py has a test for each line):

- The session belongs to the request, never to `g`, which requests may share.
- The commit is the last `after_request` function, so that nothing after it can turn a
  committed write into an error. It is registered first, for they run in reverse order.
- The teardown closes, whatever happened: after_request may have been skipped, and another
  teardown function may have raised.
- The request runs in a task of its own, which a client that goes away does not cancel: a
  write is then whole or absent. Only a body that will never arrive is given up.
- Deadlocks, serialization failures and connections lost before COMMIT run the whole unit
  again, hooks and COMMIT included.
- A connection lost in COMMIT leaves open what became of it: the server is asked. What was
  committed is answered as if nothing had happened, what was not is run again.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache
from inspect import iscoroutinefunction
from typing import Any, TypeVar, cast

from quart import Quart, Request, Response, current_app, request
from quart.ctx import RequestContext
from quart.globals import request_ctx
from quart.typing import ResponseTypes
from quart.wrappers.request import Body
from sqlalchemy import Text, func, select
from sqlalchemy import cast as sql_cast
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from werkzeug.datastructures import Headers
from werkzeug.exceptions import RequestEntityTooLarge

from freshledger.database import Database, is_lost, is_retryable, refusal
from freshledger.errors import AppError, Busy, Uncertain
from freshledger.web.outcome import Mark, find_outcome

READING = frozenset({"GET", "HEAD", "OPTIONS"})
TRIES = 3
"""How often a unit of work that meets a deadlock or serialization failure is run in all."""

MAX_IN_MEMORY = 16 * 1024**2
"""Bytes of a body that is no upload."""

UPLOAD_SECONDS = 3600

_XID = select(sql_cast(func.pg_current_xact_id_if_assigned(), Text))
_SNAPSHOT = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}

T = TypeVar("T")


class LostCommit(Exception):
    """The connection was lost in COMMIT, and nothing was committed."""


class UnitOfWork:
    """One request's session: `writes` says which of the two makers it comes from."""

    def __init__(self, database: Database, *, writes: bool) -> None:
        self._database = database
        self.writes = writes
        self.before_commit: Callable[[Any], Awaitable[None]] | None = None
        self._mark: tuple[object, Mark] | None = None
        self._in_snapshot = False
        self._session: AsyncSession | None = None
        self._connection: AsyncConnection | None = None

    @property
    def session(self) -> AsyncSession:
        """The session, made on first use; its first statement takes the connection."""
        if self._session is None:
            self._session = self._database.write() if self.writes else self._database.read()
        return self._session

    async def connection(self) -> AsyncConnection:
        """Return the session's connection, which `database.fetch` asks for at every statement."""
        if self._connection is None:
            self._connection = await self.session.connection()
        return self._connection

    def remember(self, mark: Mark) -> None:
        """Remember how the transaction that is running now is known again."""
        self._mark = (self.session.get_transaction(), mark)

    async def commit(self, answer: Any) -> None:  # noqa: ANN401 - Quart's own union of responses
        """Commit what was written, and with it what `before_commit` keeps of the answer."""
        if self.before_commit and self._session is not None and self._session.in_transaction():
            await self.before_commit(answer)
        await self.finish(successful=True)

    async def finish(self, *, successful: bool) -> None:
        """Commit or roll back what was begun; a second call has nothing left to do."""
        self._connection = None
        if self._session is None or not self._session.in_transaction():
            return
        if successful and self.writes:
            await self._commit(self._session)
        else:
            await self._session.rollback()

    async def _commit(self, session: AsyncSession) -> None:
        """Commit; raises LostCommit where it was not done, Uncertain where nobody can tell."""
        mark, has_key = await self._find_mark(session), self.before_commit is not None
        try:
            async with asyncio.timeout(self._database.commit_seconds):
                await session.commit()
        except (DBAPIError, TimeoutError) as error:
            if not is_lost(error):
                raise
            await self.close()
            committed = mark is None or await find_outcome(self._database, mark)
            if committed is None:
                raise Uncertain(_AWAY + (_SEND_AGAIN if has_key else _LOOK)) from error
            if not committed:
                raise LostCommit from error

    async def _find_mark(self, session: AsyncSession) -> Mark | None:
        """Return how the transaction is known again, None where it has changed nothing."""
        transaction, mark = self._mark or (None, None)
        if mark is not None and transaction is session.get_transaction():
            return mark
        xid = await session.scalar(_XID)
        return Mark(int(xid)) if xid else None

    async def begin_snapshot(self) -> None:
        """Begin a REPEATABLE READ, READ ONLY transaction, unless there is one or the unit writes."""
        if not self.writes and not self._in_snapshot:
            await self.finish(successful=True)
            await self.session.connection(execution_options=_SNAPSHOT)
            self._in_snapshot = True

    async def close(self) -> None:
        """Give the connection back; what was not committed is rolled back."""
        session, self._session = self._session, None
        self._connection = self._mark = self.before_commit = None
        self._in_snapshot = False
        if session is not None:
            await _to_the_end(asyncio.create_task(_end(session)))


class _CompleteBody(Body):
    """Knows whether all has arrived, and refuses too much of it also where no length was told."""

    received = 0

    def append(self, data: bytes) -> None:
        """Take what arrived; Quart alone counts only what has not been read yet."""
        self.received += len(data)
        self.at_most(self._max_content_length)
        super().append(data)

    def at_most(self, limit: int | None) -> None:
        """Refuse more bytes than that, also of what has arrived."""
        self._max_content_length = limit
        if self._must_raise is None and limit is not None and self.received > limit:
            self._must_raise = RequestEntityTooLarge()
            self.set_complete()

    @property
    def complete(self) -> bool:
        """Whether all of the body has arrived."""
        return self._complete.is_set()


class FreshRequest(Request):
    """A request that carries its unit of work.

    Only uploads may be large and slow, for their files are spooled to disk as they arrive;
    every other body is kept in memory.
    """

    body_class = _CompleteBody
    unit: UnitOfWork | None = None
    early_answer: Response | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - Quart's
        limit = options.get("max_content_length") or MAX_IN_MEMORY
        upload = arguments[0] not in READING and _is_upload(arguments[4])
        super().__init__(
            *arguments,
            **(options | {"max_content_length": limit if upload else min(limit, MAX_IN_MEMORY)}),
        )
        if upload:
            self.body_timeout = UPLOAD_SECONDS

    @property
    def is_upload(self) -> bool:
        """Whether the body may be large and slow."""
        return _is_upload(self.headers)

    async def admit_upload(self) -> None:
        """Refuse an upload before its body is read: here it may only be as large as any body."""
        cast("_CompleteBody", self.body).at_most(MAX_IN_MEMORY)


def _is_upload(headers: Headers) -> bool:
    return headers.get("Content-Type", "").lower().startswith("multipart/form-data")


class FreshQuart(Quart):
    """Quart with units of work that are whole or absent."""

    request_class = FreshRequest
    database: Database

    def ensure_async(self, func: Any) -> Any:  # noqa: ANN401 - Quart's
        """Return what can be awaited; a function is asked once whether it is such."""
        return func if _is_async(func) else super().ensure_async(func)

    async def handle_request(self, request: Request) -> ResponseTypes:
        """Handle a request in a task that outlives a client that goes away."""
        task = asyncio.create_task(self._handle(request))
        body = cast("_CompleteBody", request.body)
        return await _to_the_end(task, give_up=lambda: not body.complete)

    async def _handle(self, request: Request) -> ResponseTypes:
        return await self.answer_early(request) or await super().handle_request(request)

    async def answer_early(self, _request: Request) -> Response | None:
        """Answer without hooks, view and unit of work, where that is possible."""
        return None

    async def full_dispatch_request(
        self, request_context: RequestContext | None = None
    ) -> ResponseTypes:
        """Run view, hooks and COMMIT; again where the transaction left nothing behind."""
        tries = 1
        while True:
            try:
                return await super().full_dispatch_request(request_context)
            except (DBAPIError, PoolTimeout, LostCommit, Uncertain) as error:
                await current_unit().close()
                refused = _refusal(error)
                if refused is None:
                    raise
                _forget_the_answer(request_context)
                early = current_request().early_answer
                if early is not None:  # what it was for is done, and must not be done again
                    return await self.finalize_request(early, request_context)
                if tries == TRIES or not (isinstance(error, LostCommit) or is_retryable(error)):
                    answer = await self.handle_user_exception(refused)
                    return await self.finalize_request(answer, request_context)
            tries += 1

    async def do_teardown_request(
        self, exc: BaseException | None, request_context: RequestContext | None = None
    ) -> None:
        """Close the unit of work after all teardown functions, even if one of them raises."""
        try:
            await super().do_teardown_request(exc, request_context)
        finally:
            await _close(cast("FreshRequest", (request_context or request_ctx).request))


_is_async = cache(iscoroutinefunction)


def install(app: FreshQuart) -> None:
    """Give every request of `app` its unit of work; call this before any other hook."""
    app.before_request(_begin)
    app.after_request(_finish)


def current_request() -> FreshRequest:
    """Return the request itself: each name that is looked up in Quart's proxy costs a search."""
    return cast("FreshRequest", request._get_current_object())  # type: ignore[attr-defined]  # noqa: SLF001 - Werkzeug's public name for it


def current_session() -> AsyncSession:
    """Return the request's session; there is none in streams and background tasks."""
    return current_unit().session


@asynccontextmanager
async def all_or_nothing() -> AsyncIterator[AsyncSession]:
    """Yield the request's session; what the block did before it raised is not seen afterwards.

    For views that answer an error with a page: it shows what is there, not what was refused.
    """
    session = current_session()
    async with session.begin_nested():
        yield session


async def release() -> None:
    """Give the request's connection back, and forget what it did so far.

    For requests that go on with sessions of their own: holding one connection while waiting
    for another, a few of them would empty the pool. The next use takes a new session.
    """
    await current_unit().close()


async def begin_snapshot() -> None:
    """Let all that a reading request reads come from one snapshot, from now on.

    A writing request has its own transaction, and a second call changes nothing.
    """
    await current_unit().begin_snapshot()


async def commit_early(answer: Response) -> None:
    """Commit what the request wrote, before it goes on with work that must outlive it.

    Whoever repeats the request later is given `answer`, and so is its sender if the database
    goes away before it has another. Raises LostCommit or Uncertain.
    """
    unit = current_unit()
    await unit.commit(answer)
    current_request().early_answer = answer
    await unit.close()


def current_unit() -> UnitOfWork:
    """Return the request's unit of work."""
    unit = current_request().unit
    if unit is None:
        raise RuntimeError("no unit of work: only a request has one, until its response is sent")
    return unit


def _refusal(error: Exception) -> AppError | None:
    """Return what to tell the user if the unit is not run again; None for errors of our own."""
    if isinstance(error, LostCommit):
        return Busy("the connection to the database was lost; nothing was done, try again")
    return error if isinstance(error, Uncertain) else refusal(error)


def _forget_the_answer(context: RequestContext | None) -> None:
    """Drop what the failed run wanted to add to its answer, a cookie for example."""
    (context or request_ctx)._after_request_functions.clear()  # noqa: SLF001 - Quart has no other way


async def _begin() -> None:
    """Read the body before the unit's first query: a slow client must not hold a connection."""
    current = current_request()
    writes = current.method not in READING
    database = cast("FreshQuart", current_app).database
    current.unit = UnitOfWork(database, writes=writes)
    if writes:
        if current.is_upload:
            await current.admit_upload()
        await current.get_data(cache=True, as_text=False, parse_form_data=True)


async def _finish(response: Any) -> Any:  # noqa: ANN401 - Quart's own union of responses
    """End what a writing request began; a reading one has nothing to keep, and is only closed."""
    unit = current_unit()
    if unit.writes and response.status_code < 400:  # noqa: PLR2004 - 4xx and 5xx
        await unit.commit(response)
    elif unit.writes:
        await unit.finish(successful=False)
    return response


async def _close(current: FreshRequest) -> None:
    """Close the request's unit; what comes later, a stream for example, finds none."""
    unit, current.unit = current.unit, None
    if unit is not None:
        await unit.close()


async def _end(session: AsyncSession) -> None:
    """Close; a connection that breaks as it is rolled back has taken its transaction with it."""
    try:
        await session.close()
    except DBAPIError as error:
        await session.invalidate()
        if not is_lost(error):
            raise


async def _to_the_end(task: asyncio.Task[T], *, give_up: Callable[[], bool] = lambda: False) -> T:
    """Await `task` to its end, however often this one is cancelled; then be cancelled.

    Each cancellation is passed on only where `give_up` says that the end cannot come.
    """
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            cancelled = True
            if give_up():
                task.cancel()
    if cancelled:
        raise asyncio.CancelledError
    return task.result()


_AWAY = "the connection to the database was lost while saving, and nobody could tell the outcome: "
_SEND_AGAIN = "send the same again in a moment, with the same Idempotency-Key; it is not done twice"
_LOOK = "look whether the change is there before you make it again"
