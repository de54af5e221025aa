"""A small application around the session hook; its routes do what a feature's would.

`serving` takes the hook to build on, so that the same check runs over the sound hook and over
those of faults.py.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import asyncpg
from quart import Response, redirect, request
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger.database import Database
from freshledger.errors import Conflict, NotFound
from freshledger.settings import Settings
from freshledger.web import errors
from freshledger.web.session import FreshQuart, begin_snapshot, current_session, install

TABLES = """
CREATE TABLE IF NOT EXISTS probes (
  tag text NOT NULL, part int NOT NULL, n bigint NOT NULL DEFAULT 0, PRIMARY KEY (tag, part));
CREATE SEQUENCE IF NOT EXISTS probe_tries;
-- Fails with `state` the first `times` times it is called since the sequence was set to 1.
CREATE OR REPLACE FUNCTION probe_fail(state text, times int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF nextval('probe_tries') <= times THEN
    RAISE EXCEPTION 'planted' USING ERRCODE = state;
  END IF;
END $$;
-- A row with the tag 'commit:<state>:<times>:…' fails like that, at COMMIT; with 'lost' for
-- the state it loses its connection there.
CREATE OR REPLACE FUNCTION probe_commit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF split_part(NEW.tag, ':', 2) = 'lost' THEN
    PERFORM pg_terminate_backend(pg_backend_pid());
  END IF;
  PERFORM probe_fail(split_part(NEW.tag, ':', 2), split_part(NEW.tag, ':', 3)::int);
  RETURN NULL;
END $$;
DROP TRIGGER IF EXISTS probe_commit ON probes;
CREATE CONSTRAINT TRIGGER probe_commit AFTER INSERT ON probes DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NEW.tag LIKE 'commit:%' AND NEW.part = 1) EXECUTE FUNCTION probe_commit();
"""

INSERT = text("INSERT INTO probes (tag, part) VALUES (:tag, :part)")
FAIL = text("SELECT probe_fail(:state, :times)")
COUNT = text("SELECT count(*) FROM probes WHERE tag = :tag")
ADD = text("UPDATE probes SET n = n + 1 WHERE tag = :tag AND part = :part")
PUT = text(
    "INSERT INTO probes (tag, part, n) VALUES (:tag, 1, 1)"
    " ON CONFLICT (tag, part) DO UPDATE SET n = probes.n + 1"
)
READ = text("SELECT n FROM probes WHERE tag = :tag AND part = 1")

Hook = tuple[type[FreshQuart], Callable[[FreshQuart], None]]
SOUND: Hook = (FreshQuart, install)


@dataclass
class Site:
    """The probe application, its pools, and a connection it knows nothing of."""

    app: FreshQuart
    database: Database
    psql: asyncpg.Connection
    sessions: list[AsyncSession] = field(default_factory=list)
    runs: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    barrier: asyncio.Barrier | None = None

    async def post(self, path: str, **options):
        return await self.app.test_client().post(f"/api/{path}", **options)

    async def get(self, path: str, **options):
        return await self.app.test_client().get(f"/api/{path}", **options)

    async def parts(self, tag: str) -> int:
        return await self.psql.fetchval("SELECT count(*) FROM probes WHERE tag = $1", tag)

    async def total(self, tag: str) -> int:
        return await self.psql.fetchval("SELECT sum(n) FROM probes WHERE tag = $1", tag)

    async def reset_tries(self) -> None:
        self.runs = 0
        await self.psql.execute("ALTER SEQUENCE probe_tries RESTART")

    async def backends(self) -> set[int]:
        """The process ids of the pools' connections."""
        rows = await self.psql.fetch(
            "SELECT pid FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'freshledger'"
        )
        return {row["pid"] for row in rows}

    async def idle_in_transaction(self) -> int:
        return await self.psql.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = 'freshledger' AND state LIKE 'idle in transaction%'"
        )

    async def assert_nothing_held(self) -> None:
        assert self.database.checked_out == 0
        assert await self.idle_in_transaction() == 0


def new_tag() -> str:
    return uuid4().hex


@asynccontextmanager
async def serving(
    url: str, psql: asyncpg.Connection, hook: Hook = SOUND, **changes: float
) -> AsyncIterator[Site]:
    make, hook_into = hook
    settings = Settings(data_dir=Path("unused"), database_url=url, **changes)
    app = make(__name__)
    app.logger.disabled = hook is not SOUND
    app.config["BODY_TIMEOUT"] = 2
    app.database = Database(settings, url)
    site = Site(app, app.database, psql)
    before, tasks = await site.backends(), asyncio.all_tasks()
    hook_into(app)
    errors.install(app)
    for add in (_add_writing_routes, _add_failing_routes, _add_counter_routes,
                _add_reading_routes, _add_waiting_routes):  # fmt: skip
        add(app, site)
    try:
        yield site
    finally:
        await _end(asyncio.all_tasks() - tasks - {asyncio.current_task()})
        await app.database.dispose()
        await psql.execute("SELECT pg_terminate_backend(pid, 5000) FROM unnest($1::int[]) pid",
                           await site.backends() - before)  # fmt: skip


async def _end(tasks: set[asyncio.Task]) -> None:
    """End what a planted fault left running."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=5)


async def _insert(tag: str) -> None:
    for part in (1, 2):
        await current_session().execute(INSERT, {"tag": tag, "part": part})


def _done() -> Response:
    return redirect("/api/done", 303)


def _add_writing_routes(app: FreshQuart, site: Site) -> None:
    @app.post("/api/pairs/<tag>")
    async def pair(tag):
        """Write two rows; then answer, or fail, as asked."""
        site.runs += 1
        await _insert(tag)
        site.sessions.append(current_session())
        match request.args.get("then"):
            case "conflict":
                raise Conflict("planted")
            case "crash":
                raise ZeroDivisionError
            case "400":
                return "no", 400
        return _done()


def _add_failing_routes(app: FreshQuart, site: Site) -> None:
    @app.post("/api/fails/<state>/<int:times>/<tag>")
    async def fails(state, times, tag):
        site.runs += 1
        await _insert(tag)
        await current_session().execute(FAIL, {"state": state, "times": times})
        return _done()

    @app.post("/api/crossing/<tag>/<int:first>/<int:second>")
    async def crossing(tag, first, second):
        """Meet another request that takes the same two rows the other way round."""
        site.runs += 1
        await current_session().execute(text("SET LOCAL deadlock_timeout = '20ms'"))
        await current_session().execute(ADD, {"tag": tag, "part": first})
        if site.runs <= 2:
            await site.barrier.wait()
        await current_session().execute(ADD, {"tag": tag, "part": second})
        return _done()


def _add_counter_routes(app: FreshQuart, site: Site) -> None:
    @app.post("/api/additions/<tag>")
    async def add(tag):
        """Add one to what is there, or begin with one."""
        site.runs += 1
        await current_session().execute(PUT, {"tag": tag})
        return _done()

    @app.post("/api/counters/<tag>")
    async def count(tag):
        """Read and write the same rows as everybody else."""
        session = current_session()
        site.sessions.append(session)
        await session.execute(READ, {"tag": tag})
        await session.execute(ADD, {"tag": tag, "part": 1})
        return _done()

    @app.get("/api/counters/<tag>")
    async def read_counter(tag):
        site.sessions.append(current_session())
        return str(await current_session().scalar(READ, {"tag": tag}))


def _add_reading_routes(app: FreshQuart, site: Site) -> None:
    @app.get("/api/pairs/<tag>")
    async def read(tag):
        site.sessions.append(current_session())
        return str(await current_session().scalar(COUNT, {"tag": tag}))

    @app.get("/api/write/<tag>")
    async def write(tag):
        await _insert(tag)
        return "written"

    @app.get("/api/missing/<tag>")
    async def missing(tag):
        await current_session().scalar(COUNT, {"tag": tag})
        raise NotFound("planted")

    @app.get("/api/nothing")
    async def nothing():
        return "nothing"


def _add_waiting_routes(app: FreshQuart, site: Site) -> None:
    @app.get("/api/snapshot/<tag>")
    async def two_reads(tag):
        await begin_snapshot()
        session = current_session()
        first = await session.scalar(COUNT, {"tag": tag})
        site.arrived.set()
        await site.go_on.wait()
        return f"{first} {await session.scalar(COUNT, {'tag': tag})}"

    @app.get("/api/stream/<tag>")
    async def stream(tag):
        """Read, then stream: `arrived` is set while the body is being sent."""
        await current_session().scalar(COUNT, {"tag": tag})

        async def body():
            yield b"first"
            site.arrived.set()
            await site.go_on.wait()
            yield b"last"

        return Response(body(), content_type="text/plain")
