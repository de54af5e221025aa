"""Ways to get the session hook wrong. Each is a hook that breaks one line of the agreement.

The checks of test_session.py run over the sound hook and must hold; then each runs over the
faults it is for, and must fail.
"""

import asyncio
from functools import partial

from quart import Quart, g, request
from sqlalchemy.exc import DBAPIError

from freshledger.database import is_retryable
from freshledger.web import idempotency, outcome, session
from freshledger.web.context import act_as
from freshledger.web.session import FreshQuart, UnitOfWork


class _Global(FreshQuart):
    shared: UnitOfWork | None = None


def _install(app, *, begin=session._begin, finish=session._finish) -> None:
    app.before_request(begin)
    app.after_request(finish)


def _shares_globally(app) -> None:
    async def begin():
        app.shared = request.unit = app.shared or UnitOfWork(app.database, writes=True)

    _install(app, begin=begin)


def _keeps_on_g(app) -> None:
    async def begin():
        if "unit" not in g:
            await session._begin()
            g.unit = request.unit
        request.unit = g.unit

    _install(app, begin=begin)


def _finishes_when(judge):
    async def finish(response):
        await request.unit.finish(successful=judge(response.status_code))
        return response

    return lambda app: _install(app, finish=finish)


def _writes_on_get(app) -> None:
    async def begin():
        await session._begin()
        request.unit = UnitOfWork(app.database, writes=True)

    _install(app, begin=begin)


def _reads_from_a_kept_snapshot(app) -> None:
    """A connection that stays in its transaction shows what was there when it began."""
    kept = UnitOfWork(app.database, writes=False)

    async def begin():
        await session._begin()
        if not request.unit.writes and not kept.session.in_transaction():
            await kept.begin_snapshot()
            kept.finish = _never
        if not request.unit.writes:
            request.unit = kept

    async def _never(**_options):
        pass

    kept.close = _never
    _install(app, begin=begin)


def _reads_without_a_snapshot(app) -> None:
    async def begin():
        await session._begin()
        request.unit.begin_snapshot = _nothing

    _install(app, begin=begin)


async def _nothing() -> None:
    pass


def _begins_eagerly(app) -> None:
    async def begin():
        await session._begin()
        assert request.unit.session is not None

    _install(app, begin=begin)


def _reads_body_late(app) -> None:
    async def begin():
        writes = request.method not in session.READING
        request.unit = UnitOfWork(app.database, writes=writes)
        await request.unit.session.connection()
        await request.get_data()

    _install(app, begin=begin)


async def _leave(response):
    return response


class _CommitsInTeardown(FreshQuart):
    async def do_teardown_request(self, exc, request_context=None):
        try:
            await request.unit.finish(successful=exc is None)
        finally:
            await super().do_teardown_request(exc, request_context)


class _CommitsAfterAnswering(FreshQuart):
    """Answers first, and commits when nobody waits any more."""

    async def do_teardown_request(self, exc, request_context=None):
        unit, request.unit = request.unit, None
        self.add_background_task(_commit_later, unit)
        await super().do_teardown_request(exc, request_context)


async def _commit_later(unit):
    await asyncio.wait([asyncio.create_task(asyncio.sleep(0.2))])
    await unit.finish(successful=True)
    await unit.close()


class _CommitsFirst(FreshQuart):
    async def process_response(self, response, request_context=None):
        await request.unit.finish(successful=response.status_code < 400)
        return await super().process_response(response, request_context)


class _ClosesOnlyAfterRequest(FreshQuart):
    async def process_response(self, response, request_context=None):
        response = await super().process_response(response, request_context)
        await request.unit.close()
        return response

    async def do_teardown_request(self, exc, request_context=None):
        await Quart.do_teardown_request(self, exc, request_context)


class _ClosesAmongTheOthers(FreshQuart):
    """Closes in a plain teardown function: another one that raises keeps it from running."""

    async def do_teardown_request(self, exc, request_context=None):
        await Quart.do_teardown_request(self, exc, request_context)
        await session._close(request)


class _KeepsTheUnit(FreshQuart):
    """Closes, but leaves the closed unit where a stream can open it again."""

    async def do_teardown_request(self, exc, request_context=None):
        await Quart.do_teardown_request(self, exc, request_context)
        await request.unit.close()


class _ClosesAfterTheStream(FreshQuart):
    """Keeps the request's transaction for the body, as if the body could use it."""

    async def process_response(self, response, request_context=None):
        if "stream" not in request.path:
            response = await super().process_response(response, request_context)
        return response

    async def do_teardown_request(self, exc, request_context=None):
        if "stream" not in request.path:
            await super().do_teardown_request(exc, request_context)


class _NeverRetries(FreshQuart):
    async def full_dispatch_request(self, request_context=None):
        return await Quart.full_dispatch_request(self, request_context)


class _RetriesTheViewAlone(_NeverRetries):
    async def dispatch_request(self, request_context=None):
        for _ in range(session.TRIES - 1):
            try:
                return await super().dispatch_request(request_context)
            except DBAPIError as error:
                if not is_retryable(error):
                    raise
                await request.unit.finish(successful=False)
        return await super().dispatch_request(request_context)


class _RetriesForEver(_NeverRetries):
    async def full_dispatch_request(self, request_context=None):
        while True:
            try:
                return await Quart.full_dispatch_request(self, request_context)
            except DBAPIError:
                await request.unit.close()


class _KeepsTheFailedAnswer(FreshQuart):
    async def handle_request(self, request):
        forget, session._forget_the_answer = session._forget_the_answer, lambda _context: None
        try:
            return await super().handle_request(request)
        finally:
            session._forget_the_answer = forget


def _swallows_database_errors(app) -> None:
    session.install(app)

    async def swallow(_error):
        return "the database failed", 200

    app.register_error_handler(DBAPIError, swallow)


class _Unshielded(FreshQuart):
    """The client's disconnect cancels the request wherever it is."""

    async def handle_request(self, request):
        return await Quart.handle_request(self, request)


class _ShieldsTheCommitOnce(_Unshielded):
    """The request ends while its shielded COMMIT still runs, and closes the session under it."""

    async def do_teardown_request(self, exc, request_context=None):
        unit = request.unit
        if unit is not None and unit._session is not None:
            await unit._session.close()
        await Quart.do_teardown_request(self, exc, request_context)


def _shields_once(app) -> None:
    async def finish(response):
        await asyncio.shield(session._finish(response))
        return response

    _install(app, finish=finish)


class _AbandonsTheRequest(FreshQuart):
    """Shielded, but nobody waits for the end: the request is over and its work is not."""

    async def handle_request(self, request):
        task = asyncio.create_task(Quart.handle_request(self, request))
        return await asyncio.shield(task)


class _WaitsForHalfBodies(FreshQuart):
    async def handle_request(self, request):
        return await session._to_the_end(asyncio.create_task(Quart.handle_request(self, request)))


class _CommitsEachStatement(FreshQuart):
    async def dispatch_request(self, request_context=None):
        if request.unit.writes:
            options = {"isolation_level": "AUTOCOMMIT"}
            await request.unit.session.connection(execution_options=options)
        return await super().dispatch_request(request_context)


def _told(find) -> type[FreshQuart]:
    """A hook that is told another outcome of a COMMIT whose reply was lost."""

    class Told(FreshQuart):
        async def handle_request(self, request):
            asked, session.find_outcome = session.find_outcome, find
            try:
                return await super().handle_request(request)
            finally:
                session.find_outcome = asked

    return Told


async def _not_done(_database, _mark):
    return False


async def _done(_database, _mark):
    return True


async def _nobody_knows(_database, _mark):
    return None


async def _as_it_is_now(database, mark):
    async with database.asking() as connection:
        return await outcome._status(connection, mark.xid) == "committed"


async def _keep_first(user_id, begin=idempotency.begin_writing):
    """Take the key in a transaction of its own, before what it stands for."""
    answer = await begin(user_id)
    unit = session.current_unit()
    if answer is None and unit.before_commit is not None:
        await unit.session.commit()
        await act_as(unit.session, user_id)
    return answer


async def _keep_last(user_id, begin=idempotency.begin_writing):
    """Look for the key, but take it only when all is committed."""
    answer, unit = await begin(user_id), session.current_unit()
    if answer is None and unit.before_commit is not None:
        await unit.session.rollback()
        await act_as(unit.session, user_id)
        unit.before_commit = partial(_commit_and_keep, unit, user_id, begin)
    return answer


async def _commit_and_keep(unit, user_id, begin, answer):
    await unit.session.commit()
    await begin(user_id)
    await unit.before_commit(answer)


KEPT_ELSEWHERE = {"in a transaction before": _keep_first, "after the commit": _keep_last}
"""Ways to take an idempotency key in another transaction than the one that it stands for."""

FAULTS = {
    "one session for all": (_Global, _shares_globally),
    "kept on g": (FreshQuart, _keeps_on_g),
    "commits only 200": (FreshQuart, _finishes_when(lambda status: status == 200)),
    "commits errors": (FreshQuart, _finishes_when(lambda _status: True)),
    "writes on GET": (FreshQuart, _writes_on_get),
    "reads from a kept snapshot": (FreshQuart, _reads_from_a_kept_snapshot),
    "reads without a snapshot": (FreshQuart, _reads_without_a_snapshot),
    "begins eagerly": (FreshQuart, _begins_eagerly),
    "reads the body late": (FreshQuart, _reads_body_late),
    "commits in teardown": (_CommitsInTeardown, lambda app: _install(app, finish=_leave)),
    "commits after answering": (_CommitsAfterAnswering, lambda app: _install(app, finish=_leave)),
    "commits before other hooks": (_CommitsFirst, session.install),
    "closes only in after_request": (_ClosesOnlyAfterRequest, session.install),
    "closes among other teardowns": (_ClosesAmongTheOthers, session.install),
    "closes after the answer is gone": (_KeepsTheUnit, session.install),
    "closes after the stream": (_ClosesAfterTheStream, session.install),
    "never retries": (_NeverRetries, session.install),
    "retries the view alone": (_RetriesTheViewAlone, session.install),
    "retries for ever": (_RetriesForEver, session.install),
    "keeps the failed answer": (_KeepsTheFailedAnswer, session.install),
    "swallows database errors": (FreshQuart, _swallows_database_errors),
    "unshielded": (_Unshielded, session.install),
    "shields the commit once": (_ShieldsTheCommitOnce, _shields_once),
    "abandons the request": (_AbandonsTheRequest, session.install),
    "waits for half bodies": (_WaitsForHalfBodies, session.install),
    "half bodies hold connections": (_WaitsForHalfBodies, _reads_body_late),
    "commits each statement": (_CommitsEachStatement, session.install),
    "runs a lost commit again blindly": (_told(_not_done), session.install),
    "takes a lost commit for done": (_told(_done), session.install),
    "never asks what became of a lost commit": (_told(_nobody_knows), session.install),
    "takes a commit in progress for lost": (_told(_as_it_is_now), session.install),
}
