"""The session hook: a check for each line of its agreement, and the faults it catches.

Each check runs over the sound hook, where it holds, and over planted faults (faults.py), where
it must fail.
"""

import asyncio

import asyncpg
import pytest
from faults import FAULTS
from probe import SOUND, Site, new_tag, serving
from quart import after_this_request, stream_with_context
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from freshledger.app import Freshledger
from freshledger.errors import AppError
from freshledger.web import session
from freshledger.web.session import current_session
from scopes import scope


async def own_session(site: Site) -> None:
    """Each request has its own AsyncSession and identity map."""
    requests = [site.get(f"pairs/{new_tag()}") for _ in range(5)]
    requests += [site.post(f"pairs/{new_tag()}") for _ in range(5)]
    await asyncio.gather(*requests)
    assert len({id(one) for one in site.sessions}) == 10
    assert len({id(one.identity_map) for one in site.sessions}) == 10


async def pushed_context(site: Site) -> None:
    """Serving inside a pushed app context, where all requests have one `g`, shares nothing."""
    async with site.app.app_context():
        await asyncio.gather(*(site.get(f"pairs/{new_tag()}") for _ in range(5)))
        await asyncio.gather(*(site.post(f"pairs/{new_tag()}") for _ in range(5)))
    assert len({id(one) for one in site.sessions}) == 10


async def sees_others_commits(site: Site) -> None:
    """A read shows what was committed before it came, whoever committed."""
    tag = new_tag()
    assert await (await site.get(f"pairs/{tag}")).get_data() == b"0"
    await site.psql.execute("INSERT INTO probes (tag, part) VALUES ($1, 1)", tag)
    assert await (await site.get(f"pairs/{tag}")).get_data() == b"1"


async def redirect_commits(site: Site) -> None:
    """A POST that answers 303 has committed before the answer leaves."""
    tag = new_tag()
    response = await site.post(f"pairs/{tag}")
    assert response.status_code == 303
    assert await site.parts(tag) == 2
    await site.assert_nothing_held()


async def handled_error_rolls_back(site: Site) -> None:
    """Neither a domain error nor a view's own 4xx leaves anything."""
    for then, status in (("conflict", 409), ("400", 400)):
        tag = new_tag()
        response = await site.post(f"pairs/{tag}?then={then}")
        assert response.status_code == status
        assert await site.parts(tag) == 0
    await site.assert_nothing_held()


async def crash_rolls_back(site: Site) -> None:
    """An error nobody expected answers 500 and leaves nothing."""
    tag = new_tag()
    response = await site.post(f"pairs/{tag}?then=crash")
    assert response.status_code == 500
    assert await site.parts(tag) == 0
    await site.assert_nothing_held()


async def failing_commit(site: Site) -> None:
    """A COMMIT that fails answers 500; the hook then ran twice, and nothing is left."""
    statuses = []

    @site.app.after_request
    async def note(response):
        statuses.append(response.status_code)
        return response

    tag = f"commit:P0001:1:{new_tag()}"
    await site.reset_tries()
    response = await site.post(f"pairs/{tag}")
    assert response.status_code == 500
    assert statuses == [303, 500]
    assert await site.parts(tag) == 0
    await site.assert_nothing_held()


async def get_cannot_write(site: Site) -> None:
    """A GET that writes is refused by the database itself."""
    tag = new_tag()
    response = await site.get(f"write/{tag}")
    assert response.status_code == 500
    assert await site.parts(tag) == 0


async def commit_is_last(site: Site) -> None:
    """Another hook that raises still finds nothing committed, wherever it is registered."""

    @site.app.after_request
    async def planted(response):
        if response.status_code == 303:
            raise ZeroDivisionError
        return response

    tag = new_tag()
    response = await site.post(f"pairs/{tag}")
    assert response.status_code == 500
    assert await site.parts(tag) == 0


async def view_is_run_again(site: Site) -> None:
    """After 40P01 or 40001 in the view the unit runs again, and leaves its work once."""
    for state in ("40P01", "40001"):
        tag = new_tag()
        await site.reset_tries()
        response = await site.post(f"fails/{state}/2/{tag}")
        assert (response.status_code, site.runs) == (303, 3)
        assert await site.parts(tag) == 2
    await site.assert_nothing_held()


async def commit_is_run_again(site: Site) -> None:
    """The same at COMMIT."""
    for state in ("40P01", "40001"):
        tag = f"commit:{state}:2:{new_tag()}"
        await site.reset_tries()
        response = await site.post(f"pairs/{tag}")
        assert (response.status_code, site.runs) == (303, 3)
        assert await site.parts(tag) == 2
    await site.assert_nothing_held()


async def gives_up_after_three(site: Site) -> None:
    """At most two more times; then 503 with Retry-After, and nothing left."""
    tags = {f"fails/40P01/5/{new_tag()}", f"pairs/commit:40001:5:{new_tag()}"}
    for path in tags:
        await site.reset_tries()
        response = await site.post(path)
        assert (response.status_code, site.runs) == (503, 3)
        assert response.headers["Retry-After"] == "1"
        assert await site.parts(path.rpartition("/")[2]) == 0
    await site.assert_nothing_held()


async def real_deadlock(site: Site) -> None:
    """Two requests that take two rows the other way round: both succeed, nothing is lost."""
    tag = new_tag()
    await site.psql.execute(
        "INSERT INTO probes (tag, part) SELECT $1, part FROM generate_series(1, 2) part", tag
    )
    site.runs, site.barrier = 0, asyncio.Barrier(2)
    both = (site.post(f"crossing/{tag}/1/2"), site.post(f"crossing/{tag}/2/1"))
    responses = await asyncio.gather(*both)
    assert [response.status_code for response in responses] == [303, 303]
    assert site.runs >= 3
    assert await site.total(tag) == 4


async def failed_run_adds_nothing(site: Site) -> None:
    """What a run that is repeated wanted to add to its answer is dropped with it."""
    added = []

    @site.app.post("/api/adds/<tag>")
    async def adds(tag):
        @after_this_request
        async def add(response):
            added.append(tag)
            return response

        await current_session().execute(text("SELECT probe_fail('40001', 2)"))
        return "done"

    await site.reset_tries()
    response = await site.post("adds/once")
    assert response.status_code == 200
    assert added == ["once"]


async def locked_is_busy(site: Site) -> None:
    """Waiting longer than lock_timeout answers 503 "busy" with Retry-After; nothing is left."""
    tag = new_tag()
    await site.psql.execute("INSERT INTO probes (tag, part) VALUES ($1, 1)", tag)
    async with site.psql.transaction():
        await site.psql.execute("UPDATE probes SET n = 7 WHERE tag = $1", tag)
        response = await site.post(f"counters/{tag}")
        assert response.status_code == 503
        assert response.headers["Retry-After"] == "1"
        assert (await response.get_json())["code"] == "busy"
        await site.assert_nothing_held()
    assert await site.total(tag) == 7


async def stream_holds_nothing(site: Site) -> None:
    """While a body is streamed its request has no connection any more."""
    streaming = asyncio.create_task(site.get(f"stream/{new_tag()}"))
    await site.arrived.wait()
    held = site.database.checked_out
    site.go_on.set()
    response = await streaming
    assert await response.get_data() == b"firstlast"
    assert held == 0


async def stream_finds_no_session(site: Site) -> None:
    """A body that asks for the session of its request, which is over, is told so."""
    told = []

    @site.app.get("/api/late")
    async def late():
        await current_session().scalar(text("SELECT 1"))

        @stream_with_context
        async def body():
            try:
                current_session()
            except RuntimeError as error:
                told.append(str(error))
            yield b"end"

        return body()

    response = await site.get("late")
    assert response.status_code == 200
    assert told == ["no unit of work: only a request has one, until its response is sent"]


async def closes_without_after_request(site: Site) -> None:
    """Teardown closes where after_request was skipped: TESTING, an error nobody handles."""
    site.app.testing = True
    tag = new_tag()
    response = await site.post(f"pairs/{tag}?then=crash")
    assert response.status_code == 500
    assert await site.parts(tag) == 0
    await site.assert_nothing_held()


async def closes_after_a_failing_teardown(site: Site) -> None:
    """Another teardown function that raises keeps nothing open."""
    open_before = []

    @site.app.teardown_request
    async def planted(_error):
        open_before.append(current_session().in_transaction())
        raise ZeroDivisionError

    site.app.testing = True
    await site.post(f"pairs/{new_tag()}?then=crash")
    assert open_before == [True]
    await site.assert_nothing_held()


async def session_on_first_use(site: Site) -> None:
    """A request that asks nothing of the database makes no session."""
    made = []

    @site.app.teardown_request
    async def look(_error):
        made.append(session.request.unit._session)

    await site.get("nothing")
    assert made == [None]


class HalfBody:
    """A client that sends the first half of a form, and the rest, or leaves, when told."""

    def __init__(self, site: Site, path: str) -> None:
        self.messages: asyncio.Queue[dict] = asyncio.Queue()
        self.messages.put_nowait(self.part(b"note=", more=True))
        self.sent: list[dict] = []
        self.taken = asyncio.Event()
        headers = {"content-type": "application/x-www-form-urlencoded", "content-length": "10"}
        asked = scope("POST", f"/api/{path}", headers)
        self.call = asyncio.create_task(site.app(asked, self.receive, self.send))

    @staticmethod
    def part(body: bytes, *, more: bool) -> dict:
        return {"type": "http.request", "body": body, "more_body": more}

    async def send(self, message: dict) -> None:
        self.sent.append(message)

    async def receive(self) -> dict:
        if self.messages.empty():
            self.taken.set()
        return await self.messages.get()

    async def ended(self) -> None:
        async with asyncio.timeout(1):
            await self.call


async def slow_body_holds_nothing(site: Site) -> None:
    """While a body arrives its request has no connection, however long that takes."""
    others = [HalfBody(site, f"pairs/{new_tag()}") for _ in range(6)]
    await asyncio.gather(*(other.taken.wait() for other in others))
    try:
        quick = await site.post(f"pairs/{new_tag()}")
        held = site.database.checked_out
    finally:
        for other in others:
            other.messages.put_nowait(other.part(b"12345", more=False))
        await asyncio.gather(*(other.ended() for other in others))
    assert quick.status_code == 303
    assert held == 0
    assert all(other.sent[0]["status"] == 303 for other in others)


async def half_body_frees_everything(site: Site) -> None:
    """A client that sends half a body and leaves has its request ended, with nothing done."""
    tag = new_tag()
    client = HalfBody(site, f"pairs/{tag}")
    await client.taken.wait()
    client.messages.put_nowait({"type": "http.disconnect"})
    try:
        await client.ended()
    finally:
        client.call.cancel()
    assert client.sent == []
    assert await site.parts(tag) == 0
    await site.assert_nothing_held()


async def snapshot_is_one(site: Site) -> None:
    """Statements of one snapshot do not see what is committed between them; then all is new."""
    tag = new_tag()
    reading = asyncio.create_task(site.get(f"snapshot/{tag}"))
    await site.arrived.wait()
    await site.post(f"pairs/{tag}")
    site.go_on.set()
    assert await (await reading).get_data() == b"0 0"
    assert await (await site.get(f"snapshot/{tag}")).get_data() == b"2 2"
    assert (await site.get(f"write/{tag}")).status_code == 500
    await site.assert_nothing_held()


CHECKS = {
    own_session: ["one session for all"],
    pushed_context: ["kept on g", "one session for all"],
    sees_others_commits: ["reads from a kept snapshot"],
    redirect_commits: ["commits only 200", "commits after answering"],
    handled_error_rolls_back: ["commits errors"],
    crash_rolls_back: ["commits errors", "commits each statement"],
    failing_commit: ["commits in teardown", "commits each statement"],
    get_cannot_write: ["writes on GET"],
    commit_is_last: ["commits before other hooks"],
    view_is_run_again: ["never retries"],
    commit_is_run_again: ["never retries", "retries the view alone"],
    gives_up_after_three: ["never retries", "retries for ever"],
    real_deadlock: ["never retries"],
    failed_run_adds_nothing: ["keeps the failed answer"],
    locked_is_busy: ["swallows database errors", "never retries"],
    stream_holds_nothing: ["closes after the stream"],
    stream_finds_no_session: ["closes after the answer is gone"],
    closes_without_after_request: ["closes only in after_request"],
    closes_after_a_failing_teardown: ["closes among other teardowns"],
    session_on_first_use: ["begins eagerly"],
    slow_body_holds_nothing: ["reads the body late"],
    half_body_frees_everything: ["waits for half bodies"],
    snapshot_is_one: ["reads without a snapshot"],
}
PAIRS = [(check, fault) for check, faults in CHECKS.items() for fault in faults]
LIMITS = {"pool_size": 5, "pool_timeout": 1.0, "lock_timeout": 1.0}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_holds(check, probe_url: str, psql: asyncpg.Connection):
    async with serving(probe_url, psql, SOUND, **LIMITS) as site, asyncio.timeout(20):
        await check(site)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("check", "fault"), PAIRS, ids=[f"{check.__name__}-{fault}" for check, fault in PAIRS]
)
async def test_catches(check, fault: str, probe_url: str, psql: asyncpg.Connection):
    async with serving(probe_url, psql, FAULTS[fault], **LIMITS) as site:
        with pytest.raises((AssertionError, TimeoutError, SQLAlchemyError)):
            async with asyncio.timeout(4):
                await check(site)


def test_every_fault_is_caught_by_a_check():
    from test_outcome import PAIRS as OF_OUTCOMES  # noqa: PLC0415 - the other checks
    from test_session_clients import CAUGHT  # noqa: PLC0415

    caught = {fault for _, fault in [*PAIRS, *OF_OUTCOMES]} | set(CAUGHT)
    assert caught == set(FAULTS)


def test_the_application_registers_the_commit_first(app: Freshledger):
    assert app.after_request_funcs[None][0] is session._finish
    assert app.before_request_funcs[None][0] is session._begin
    assert app.secret_key is None, "Quart would save its cookie session after the commit"


def test_no_handler_swallows_database_errors(app: Freshledger):
    by_code = [codes for spec in app.error_handler_spec.values() for codes in spec.values()]
    handled = {kind for kinds in by_code for kind in kinds}
    assert AppError in handled
    assert not handled & set(DBAPIError.__mro__)
