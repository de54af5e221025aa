"""What an answer's ETag says: 304 for whoever has exactly this answer, and for nobody else."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Self
from uuid import uuid4

import asyncpg
import pytest
from quart import Response
from sqlalchemy import event

import people
from books import Books, make_books
from freshledger.app import Freshledger, create_app
from freshledger.settings import Settings
from freshledger.web import freshness
from freshledger.web.context import hash_secret
from freshledger.web.rendering import NOTICE_COOKIE
from freshledger.web.security import VARY
from people import come, share
from route_walk import ASKED, NEEDS_MORE, Route, make_world, routes_of
from route_walk import World as AllRows

OK, UNCHANGED = 200, 304


@pytest.fixture
async def own(own_database: str):
    connection = await asyncpg.connect(own_database)
    yield connection
    await connection.close()


@dataclass(frozen=True)
class Asker:
    """Somebody who asks for one address, with what they have of it."""

    app: Freshledger
    path: str
    headers: dict[str, str]

    async def get(self, tag: str | None = None, method: str = "GET") -> Response:
        headers = self.headers | ({"If-None-Match": tag} if tag else {})
        return await self.app.test_client().open(self.path, method=method, headers=headers)


def browser_of(app: Freshledger, books: Books, path: str = "/transactions") -> Asker:
    return Asker(app, books.path + path, {"Cookie": f"freshledger={books.session_token}"})


async def program_of(
    app: Freshledger,
    db: asyncpg.Connection,
    books: Books,
    path: str = "/transactions",
    *,
    scope: str = "read",
    used: bool = True,
) -> Asker:
    """A program with a token of that user; its use has just been noted, so it will not be again."""
    secret = f"fl_{books.ledger_id}_{uuid4().hex}"
    token = await db.fetchval(
        "INSERT INTO tokens (ledger_id, user_id, scope, token_hash) VALUES ($1, $2, $3, $4)"
        " RETURNING id",
        books.ledger_id,
        books.user_id,
        scope,
        hash_secret(secret),
    )
    if used:
        await db.execute("INSERT INTO token_uses VALUES ($1, $2, now())", books.ledger_id, token)
    return Asker(app, books.api + path, {"Authorization": f"Bearer {secret}"})


async def version_of(db: asyncpg.Connection, books: Books) -> int:
    return await db.fetchval("SELECT version FROM heads WHERE ledger_id = $1", books.ledger_id)


async def rewind(db: asyncpg.Connection, books: Books, version: int) -> None:
    """Let the ledger have the version it had: what changed meanwhile is told by nothing else."""
    await db.execute("UPDATE heads SET version = $2 WHERE ledger_id = $1", books.ledger_id, version)


PAGES = ["", "/transactions", "/transactions?from=last-month", "/contacts", "/labels", "/wallets"]


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_page_that_one_has(app, psql, books: Books, path: str, method: str):
    asker = browser_of(app, books, path)
    first = await asker.get(method=method)
    tag, version = first.headers["ETag"], await version_of(psql, books)
    assert first.status_code == OK
    assert re.fullmatch(r'"[0-9a-f]{32}"', tag)
    assert first.headers["Ledger-Version"] == str(version)
    assert (await asker.get()).headers["ETag"] == tag
    again = await asker.get(tag, method)
    assert (again.status_code, await again.get_data()) == (UNCHANGED, b"")
    for name in ("ETag", "Ledger-Version", "Cache-Control", "Vary"):
        assert again.headers[name] == first.headers[name]
    assert first.headers["Cache-Control"] == "no-store"
    assert {part.strip() for part in first.headers["Vary"].split(",")} >= set(VARY)


@pytest.mark.parametrize("path", ["", "/transactions", "/transactions?totals=1", "/labels"])
async def test_an_api_read_that_one_has(app, psql, books: Books, path: str):
    asker = await program_of(app, psql, books, path)
    first = await asker.get()
    assert first.headers["Cache-Control"] == "private, no-cache"
    assert first.headers["Ledger-Version"] == str((await first.get_json())["version"])
    again = await asker.get(first.headers["ETag"])
    assert (again.status_code, again.headers["ETag"]) == (UNCHANGED, first.headers["ETag"])


async def test_the_forms_of_if_none_match(app, books: Books):
    asker = browser_of(app, books)
    tag = (await asker.get()).headers["ETag"]
    for given in (f"W/{tag}", f'"a", W/"b",{tag}', f'"a",W/{tag}', "*"):
        answer = await asker.get(given)
        assert (answer.status_code, answer.headers["ETag"]) == (UNCHANGED, tag), given
    for given in ('"a"', 'W/"a", "b"', "", tag[1:-2], '"', ",,"):
        assert (await asker.get(given)).status_code == OK, given
    nothing = replace(asker, path=f"{books.path}/labels/1")
    assert (await nothing.get("*")).status_code == 404


async def test_a_commit_in_psql_is_never_unchanged(app, psql, books: Books):
    """Whatever psql changes of what a ledger's pages show, the next look is a new answer."""
    askers = [browser_of(app, books, path) for path in PAGES]
    askers += [
        await program_of(app, psql, books, path) for path in ("", "/transactions", "/labels")
    ]
    for number in range(3):
        tags = [(await asker.get()).headers["ETag"] for asker in askers]
        await psql.execute(
            "INSERT INTO labels (ledger_id, name) VALUES ($1, $2)", books.ledger_id, f"l{number}"
        )
        version = str(await version_of(psql, books))
        for asker, tag in zip(askers, tags, strict=True):
            answer = await asker.get(tag)
            assert (answer.status_code, answer.headers["Ledger-Version"]) == (OK, version)
            assert answer.headers["ETag"] != tag


# What is sent to the database for a 304


WATCHED: ContextVar[bool] = ContextVar("watched", default=False)
"""True in what a test asks for, and not in work that goes on beside it."""


class Sent:
    """Everything that requests send to the database, BEGIN and COMMIT included."""

    def __init__(self, app: Freshledger) -> None:
        self.statements: list[str] = []
        self.frames: list[str] = []
        self._engine = app.database._reading.sync_engine

    def __enter__(self) -> Self:
        self._token = WATCHED.set(True)
        event.listen(self._engine, "before_cursor_execute", self._note)
        event.listen(self._engine, "checkout", self._listen)
        return self

    def __exit__(self, *_: object) -> None:
        WATCHED.reset(self._token)
        event.remove(self._engine, "before_cursor_execute", self._note)
        event.remove(self._engine, "checkout", self._listen)

    def _note(self, _connection, _cursor, statement, *_: object) -> None:
        if WATCHED.get():
            self.statements.append(statement)

    def _listen(self, dbapi_connection, *_: object) -> None:
        driver = dbapi_connection.driver_connection
        driver.remove_query_logger(self._frame)
        driver.add_query_logger(self._frame)

    def _frame(self, record) -> None:
        """Note what goes around SQLAlchemy's cursors: its BEGIN and COMMIT, and `fetch`."""
        if WATCHED.get() and record.query.startswith(("SELECT", "WITH")):
            self.statements.append(record.query)
        elif WATCHED.get():
            self.frames.append(record.query.split()[0].rstrip(";"))


async def test_304_costs_the_look_up(app, psql, books: Books):
    """One statement by its indexes, and no transaction."""
    page, listed = browser_of(app, books), await program_of(app, psql, books)
    for asker in (page, listed):
        tag = (await asker.get()).headers["ETag"]
        with Sent(app) as sent:
            assert (await asker.get(tag)).status_code == UNCHANGED
        assert len(sent.statements) == 1
        assert "heads.version" in sent.statements[0]
        assert not sent.frames
        with Sent(app) as full:
            assert (await asker.get()).status_code == OK
        assert len(full.statements) > 1
        assert ("BEGIN" in full.frames) == (asker is page)


# Each part of the tag, changed alone


@dataclass
class World:
    """A database of the test's own, its application and two people of one ledger."""

    app: Freshledger
    db: asyncpg.Connection
    books: Books
    monkeypatch: pytest.MonkeyPatch


@pytest.fixture
async def world(own_database: str, own, tmp_path, monkeypatch):
    app = create_app(Settings(data_dir=tmp_path, database_url=own_database, pool_size=3))
    async with app.test_app():
        yield World(app, own, await make_books(own), monkeypatch)


async def another_person(world: World, asker: Asker) -> Asker:
    """The same role, scope and settings; another user."""
    theirs = await make_books(world.db)
    await world.db.execute("UPDATE users SET time_zone = 'Pacific/Auckland'")
    here = replace(theirs, ledger_id=world.books.ledger_id)
    await world.db.execute(
        "INSERT INTO members VALUES ($1, $2, 'owner')", here.ledger_id, here.user_id
    )
    return replace(await program_of(world.app, world.db, here), path=asker.path)


async def another_role(world: World, asker: Asker) -> Asker:
    await world.db.execute(
        "UPDATE members SET role = 'viewer' WHERE user_id = $1", world.books.user_id
    )
    return asker


async def another_session(world: World, asker: Asker) -> Asker:
    """The same user at another browser: the forms' token is another."""
    secret = uuid4().hex
    await world.db.execute(
        "INSERT INTO sessions (user_id, token_hash, expires_at)"
        " VALUES ($1, $2, now() + interval '1 day')",
        world.books.user_id,
        hash_secret(secret),
    )
    return replace(asker, headers={"Cookie": f"freshledger={secret}"})


async def another_scope(world: World, asker: Asker) -> Asker:
    return replace(
        await program_of(world.app, world.db, world.books, scope="write"), path=asker.path
    )


async def other_settings(world: World, asker: Asker) -> Asker:
    """Changed in psql, which tells no settings version."""
    await world.db.execute("UPDATE users SET theme = 'dark'")
    return asker


async def newer_settings(world: World, asker: Asker) -> Asker:
    await world.db.execute("UPDATE users SET settings_version = settings_version + 1")
    return asker


async def restored(world: World, asker: Asker) -> Asker:
    """As `restore` does to every ledger."""
    await world.db.execute("UPDATE ledgers SET epoch = gen_random_uuid()")
    return asker


async def migrated(world: World, asker: Asker) -> Asker:
    await world.db.execute("UPDATE alembic_version SET version_num = 'later'")
    return asker


async def rebuilt(world: World, asker: Asker) -> Asker:
    world.monkeypatch.setattr(freshness, "build", lambda: "0.0+another")
    return asker


async def after_midnight(world: World, asker: Asker) -> Asker:
    """A minute later it is tomorrow in Auckland, and the same day in UTC."""
    world.monkeypatch.setattr(freshness, "_now", lambda: datetime(2026, 3, 4, 11, 0, tzinfo=UTC))
    return asker


async def an_htmx_part(_world: World, asker: Asker) -> Asker:
    return replace(asker, headers=asker.headers | {"HX-Request": "true"})


async def another_target(_world: World, asker: Asker) -> Asker:
    return replace(asker, headers=asker.headers | {"HX-Target": "frame"})


async def boosted(_world: World, asker: Asker) -> Asker:
    return replace(asker, headers=asker.headers | {"HX-Boosted": "true"})


async def another_kind(_world: World, asker: Asker) -> Asker:
    return replace(asker, headers=asker.headers | {"Accept": "application/json"})


async def another_query(_world: World, asker: Asker) -> Asker:
    return replace(asker, path=asker.path.replace("today", "yesterday"))


async def another_page(_world: World, asker: Asker) -> Asker:
    return replace(asker, path=asker.path.replace("transactions", "labels"))


Change = Callable[[World, Asker], Awaitable[Asker]]
CHANGES: list[tuple[str, str, Change]] = [
    ("ledger", "page", restored),
    ("build", "page", rebuilt),
    ("migration", "page", migrated),
    ("representation", "page", an_htmx_part),
    ("representation", "page", another_target),
    ("representation", "page", boosted),
    ("representation", "page", another_kind),
    ("representation", "page", another_query),
    ("representation", "page", another_page),
    ("viewer", "api", another_person),
    ("role", "page", another_role),
    ("session", "page", another_session),
    ("session", "api", another_scope),
    ("settings", "page", other_settings),
    ("settings", "page", newer_settings),
    ("today", "page", after_midnight),
    ("today", "api", after_midnight),
]


async def ask_after(world: World, kind: str, change: Change) -> tuple[int, int]:
    """Ask twice, change one thing, ask again at the same version: what the last two answered."""
    await world.db.execute("UPDATE users SET time_zone = 'Pacific/Auckland'")
    before = datetime(2026, 3, 4, 10, 59, tzinfo=UTC)
    world.monkeypatch.setattr(freshness, "_now", lambda: before)
    path = "/transactions?from=today"
    if kind == "page":
        asker = browser_of(world.app, world.books, path)
    else:
        asker = await program_of(world.app, world.db, world.books, path)
    version = await version_of(world.db, world.books)
    tag = (await asker.get()).headers["ETag"]
    unchanged = await asker.get(tag)
    changed = await change(world, asker)
    await rewind(world.db, world.books, version)
    answer = await changed.get(tag)
    return unchanged.status_code, answer.status_code


IDS = [f"{part}-{kind}-{change.__name__}" for part, kind, change in CHANGES]


@pytest.mark.parametrize(("part", "kind", "change"), CHANGES, ids=IDS)
async def test_a_changed_part_is_a_new_answer(world: World, part: str, kind: str, change: Change):
    assert part in freshness.PARTS
    assert await ask_after(world, kind, change) == (UNCHANGED, OK)


@pytest.mark.parametrize(("part", "kind", "change"), CHANGES, ids=IDS)
async def test_a_part_left_out_would_answer_what_is_old(
    world: World, part: str, kind: str, change: Change
):
    """The planted fault: without that part in the tag the same change is answered 304."""
    world.monkeypatch.delitem(freshness.PARTS, part)
    assert await ask_after(world, kind, change) == (UNCHANGED, UNCHANGED)


def test_every_part_is_changed_by_a_test():
    assert {part for part, _, _ in CHANGES} == set(freshness.PARTS)


# What has no tag


async def test_a_page_with_a_notice_is_shown_once(app, books: Books):
    asker = browser_of(app, books, "/labels")
    tag = (await asker.get()).headers["ETag"]
    noticed = {"Cookie": f"{asker.headers['Cookie']}; {NOTICE_COOKIE}=Saved."}
    answer = await replace(asker, headers=noticed).get(tag)
    assert (answer.status_code, "ETag" in answer.headers) == (OK, False)
    assert "Saved." in await answer.get_data(as_text=True)


@pytest.mark.parametrize(
    "path", ["/labels/1", "/transactions?from=never", "/transactions/totals?x=1"]
)
async def test_errors_have_no_tag(app, books: Books, path: str):
    answer = await browser_of(app, books, path).get("*")
    assert answer.status_code in {404, 422}
    assert "ETag" not in answer.headers


async def test_what_is_no_reading_of_one_ledger_has_no_tag(client, csrf, books: Books):
    for path in ("/ledgers", "/api/v1/ledgers", "/settings", "/api/docs"):
        answer = await client.get(path)
        assert answer.status_code == OK
        assert not {"ETag", "Ledger-Version"} & set(answer.headers.keys())
    made = await client.post(f"{books.api}/labels", json={"name": "New"}, headers=csrf)
    assert made.status_code == 201
    assert "ETag" not in made.headers


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Sec-Purpose", "prefetch"),
        ("Sec-Purpose", "prefetch;prerender"),
        ("Purpose", "prefetch"),
        ("X-Moz", "prefetch"),
    ],
)
async def test_no_page_is_made_ahead(app, books: Books, name: str, value: str):
    asker = browser_of(app, books)
    tag = (await asker.get()).headers["ETag"]
    ahead = replace(asker, headers=asker.headers | {name: value})
    answer = await ahead.get(tag)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (503, "no-store")
    assert "Retry-After" not in answer.headers
    static = replace(ahead, path="/static/favicon.svg")
    assert (await static.get()).status_code == OK


# All routes


@pytest.fixture
async def everything(app: Freshledger, psql: asyncpg.Connection) -> AllRows:
    """A ledger with a row of every kind, another member, and an import of a former one."""
    owner, other, former = [await come(app, psql) for _ in range(3)]
    made = await make_world(psql, owner, f"words {uuid4().hex}")
    await share(psql, made.ledger_id, other, "viewer")
    made.rows |= {"other": other.id, "former": former.id}
    await psql.execute(
        "UPDATE imports SET user_id = $2 WHERE ledger_id = $1", made.ledger_id, former.id
    )
    async with psql.transaction():
        await psql.execute(f"SET LOCAL freshledger.actor = 'user:{former.id}'")
        await psql.execute("UPDATE labels SET color = 'red' WHERE ledger_id = $1", made.ledger_id)
    return made


def ledger_routes(app: Freshledger) -> list[Route]:
    found = [route for route in routes_of(app) if route.of_a_ledger and route.reads]
    return [route for route in found if reason_of(app, route) != "stream"]


def reason_of(app: Freshledger, route: Route) -> str | None:
    return getattr(app.view_functions[route.endpoint], "unversioned", None)


async def ask(world: AllRows, route: Route, tag: str | None = None) -> tuple[Response, str]:
    """Ask the route as the ledger's owner; what is made anew for every form is left out."""
    values = world.rows | {"ledger": world.ledger_id}
    path = route.path(**{name: values[_kind(route, name)] for name in route.arguments})
    headers = {"If-None-Match": tag} if tag else {}
    async with asyncio.timeout(10):
        answer = await world.owner.get(
            path, query_string=ASKED.get(route.endpoint, {}), headers=headers
        )
        body = await answer.get_data(as_text=True)
    return answer, re.sub(r'name="idempotency_key" value="[^"]*"', "", body)


def _kind(route: Route, name: str) -> str:
    return "ledger" if name == "ledger_id" else route.kind(name) or ""


async def test_every_reading_route_has_a_tag_or_a_reason(app, psql, everything: AllRows):
    routes = ledger_routes(app)
    assert len(routes) > 30
    version = str(await people.version_of(psql, everything.ledger_id))
    for route in routes:
        if route.endpoint in NEEDS_MORE:
            assert reason_of(app, route), route
            continue
        answer, _ = await ask(everything, route)
        assert (answer.status_code, answer.headers["Ledger-Version"]) == (OK, version), route
        tag, reason = answer.headers.get("ETag"), reason_of(app, route)
        assert bool(tag) != bool(reason), f"{route}: a tag, or a reason in UNVERSIONED"
        answer, _ = await ask(everything, route, tag or f'"{uuid4().hex}"')
        assert answer.status_code == (OK if reason else UNCHANGED), route


UNCOUNTED = {
    "UPDATE users SET disabled_at = now() WHERE id = $1": "other",
    "UPDATE users SET name = 'Renamed', email = id || '@renamed.example.org' WHERE id = $1": "former",
    "UPDATE users SET password_hash = 'x' WHERE id = $1": "other",
    "INSERT INTO token_uses SELECT ledger_id, id, now() FROM tokens WHERE id = $1": "token",
    "UPDATE exports SET done = 7, total = 9 WHERE id = $1": "export",
    "DELETE FROM import_rows WHERE import_id = $1": "import",
    "DELETE FROM staged_rows WHERE import_id = $1": "import",
}
"""Changes that do not count for the ledger's version, each of the row that it names."""


async def test_what_has_a_tag_shows_only_what_counts(app, psql, everything: AllRows):
    """Changes that no version tells change no tagged page; they are seen on untagged ones."""
    routes = [route for route in ledger_routes(app) if route.endpoint not in NEEDS_MORE]
    before = {route: (await ask(everything, route))[1] for route in routes}
    version = await people.version_of(psql, everything.ledger_id)
    for statement, kind in UNCOUNTED.items():
        await psql.execute(statement, everything.rows[kind])
    assert await people.version_of(psql, everything.ledger_id) == version
    changed = {route for route in routes if (await ask(everything, route))[1] != before[route]}
    assert not {route for route in changed if reason_of(app, route) is None}
    seen = {reason_of(app, route) for route in changed}
    assert {"people", "token use", "export"} <= seen  # the walk would notice
