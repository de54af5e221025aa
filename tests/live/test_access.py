"""A stream ends within a second when its right to be open does, whoever makes the change."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import asyncpg
import pytest
from streams import OFTEN, Client, stream

from freshledger.app import Freshledger
from freshledger.live.access import Guard
from people import PASSWORD, Person, come, make_ledger

NEW = "another correct battery"
LABEL = "INSERT INTO labels (ledger_id, name) VALUES ($1, gen_random_uuid())"


@dataclass
class World:
    """Ann's ledger, which Bob edits, in a browser and with a token."""

    app: Freshledger
    psql: asyncpg.Connection
    ann: Person
    bob: Person
    admin: Person
    ledger_id: int
    token_id: int
    secret: str

    @property
    def path(self) -> str:
        return f"/ledgers/{self.ledger_id}"

    def browser(self, person: Person):
        return stream(person.client, f"{self.path}/live")

    def account(self, person: Person):
        return stream(person.client, "/live")

    def program(self):
        headers = {"Authorization": f"Bearer {self.secret}"}
        return stream(self.app.test_client(), f"/api/v1{self.path}/live", headers=headers)

    async def sql(self, statement: str) -> None:
        """Change something of Bob's in psql; :bob, :ledger and :token are his."""
        for name, value in (
            ("bob", self.bob.id),
            ("ledger", self.ledger_id),
            ("token", self.token_id),
        ):
            statement = statement.replace(f":{name}", str(value))
        assert not (await self.psql.execute(statement)).endswith(" 0")

    async def post(self, person: Person, path: str, **form: str) -> None:
        assert (await person.post(path, form)).status_code == 303


@pytest.fixture
async def world(app, psql) -> World:
    ann, bob = await come(app, psql), await come(app, psql, password=PASSWORD)
    admin = await come(app, psql, admin=True)
    ledger_id = await make_ledger(psql, owner=ann, editor=bob)
    made = await bob.post(f"/ledgers/{ledger_id}/tokens", {"name": "x", "scope": "write"})
    secret = re.search(rf"fl_{ledger_id}_[\w-]+", await made.get_data(as_text=True))[0]
    token_id = await psql.fetchval("SELECT id FROM tokens WHERE ledger_id = $1", ledger_id)
    return World(app, psql, ann, bob, admin, ledger_id, token_id, secret)


Act = Callable[[World], Awaitable[None]]


def by_sql(statement: str) -> Act:
    return lambda world: world.sql(statement)


SESSION: dict[str, Act] = {
    "logged out": lambda w: w.post(w.bob, "/logout"),
    "session deleted": by_sql("DELETE FROM sessions WHERE user_id = :bob"),
    "session expired": by_sql("UPDATE sessions SET expires_at = now() WHERE user_id = :bob"),
    "password changed": lambda w: w.post(
        w.bob, "/settings/password", current=PASSWORD, password=NEW
    ),
}
MOVED: dict[str, Act] = {
    "session of another": by_sql(
        "UPDATE sessions SET user_id = (SELECT min(id) FROM users) WHERE user_id = :bob"
    ),
}
"""Told as a change of the other's; the tick finds whose it was."""
PERSON: dict[str, Act] = {
    "password in psql": by_sql("UPDATE users SET password_hash = 'x' WHERE id = :bob"),
    "disabled": lambda w: w.post(w.admin, f"/people/{w.bob.id}/disable"),
    "disabled in psql": by_sql("UPDATE users SET disabled_at = now() WHERE id = :bob"),
    "made admin": by_sql("UPDATE users SET is_admin = true WHERE id = :bob"),
    "deleted": by_sql("DELETE FROM users WHERE id = :bob"),
}
MEMBER: dict[str, Act] = {
    "role changed": lambda w: w.post(w.ann, f"{w.path}/members/{w.bob.id}", role="viewer"),
    "removed": lambda w: w.post(w.ann, f"{w.path}/members/{w.bob.id}/delete"),
    "left": lambda w: w.post(w.bob, f"{w.path}/leave"),
    "role in psql": by_sql("UPDATE members SET role = 'viewer' WHERE user_id = :bob"),
    "removed in psql": by_sql("DELETE FROM members WHERE user_id = :bob"),
}
TOKEN: dict[str, Act] = {
    "revoked": lambda w: w.post(w.bob, f"{w.path}/tokens/{w.token_id}/delete"),
    "revoked in psql": by_sql("UPDATE tokens SET revoked_at = now() WHERE id = :token"),
    "expired": by_sql("UPDATE tokens SET expires_at = now() WHERE id = :token"),
    "scope": by_sql("UPDATE tokens SET scope = 'read' WHERE id = :token"),
    "token deleted": by_sql("DELETE FROM tokens WHERE id = :token"),
}
HARMLESS: dict[str, Act] = {
    "renamed": by_sql("UPDATE users SET name = 'Robert' WHERE id = :bob"),
    "theme": by_sql("UPDATE users SET theme = 'dark' WHERE id = :bob"),
    "signed in elsewhere": by_sql(
        "INSERT INTO sessions (user_id, token_hash, expires_at) VALUES (:bob, '', now())"
    ),
    "session prolonged": by_sql(
        "UPDATE sessions SET expires_at = now() + interval '2 days' WHERE user_id = :bob"
    ),
    "archived": lambda w: w.post(w.ann, f"{w.path}/archive"),
    "another's token": by_sql(
        "INSERT INTO tokens (ledger_id, user_id, scope, token_hash) VALUES (:ledger, :bob, 'read', '')"
    ),
}
ALL = SESSION | MOVED | PERSON | MEMBER | TOKEN | HARMLESS


async def goes_on(world: World, live: Client) -> None:
    """The stream tells of the next commit."""
    version = await world.psql.fetchval(
        "SELECT version + 1 FROM heads WHERE ledger_id = $1", world.ledger_id
    )
    await world.psql.execute(LABEL, world.ledger_id)
    assert {event.name for event in await live.until(version)} <= {"change", "ready"}


async def closed(live: Client) -> None:
    """It ends; what came before may still have been told."""
    async with asyncio.timeout(1):
        event = await live.next()
        while event.name == "change":
            event = await live.next()
    assert (event.name, event.data) == ("closed", {"reason": "access"})
    assert await live.connection.receive() == b""


@pytest.mark.parametrize("name", [*SESSION, *PERSON, *MEMBER])
async def test_a_browser_s_stream_ends(world, name):
    async with world.browser(world.bob) as live, world.browser(world.ann) as other:
        assert (await live.next()).name == (await other.next()).name == "ready"
        await ALL[name](world)
        await closed(live)
        await goes_on(world, other)


@pytest.mark.parametrize("name", [*PERSON, *MEMBER, *TOKEN])
async def test_a_program_s_stream_ends(world, name):
    async with world.program() as live, world.browser(world.ann) as other:
        assert (await live.next()).name == (await other.next()).name == "ready"
        await ALL[name](world)
        await closed(live)
        await goes_on(world, other)


@pytest.mark.parametrize("name", [*SESSION, *PERSON])
async def test_an_account_s_stream_ends(world, name):
    async with world.account(world.bob) as live:
        assert (await live.next()).name == "ready"
        await ALL[name](world)
        await closed(live)


@pytest.mark.parametrize("name", HARMLESS)
async def test_it_goes_on(world, name):
    async with world.browser(world.bob) as live, world.program() as program:
        assert (await live.next()).name == (await program.next()).name == "ready"
        await HARMLESS[name](world)
        await goes_on(world, live)
        await goes_on(world, program)


async def test_a_token_goes_on_without_its_maker_s_session(world):
    async with world.program() as program:
        await program.next()
        await SESSION["logged out"](world)
        await goes_on(world, program)


async def test_a_ledger_that_is_deleted(world, feeding):
    async with feeding(tick=OFTEN), world.browser(world.bob) as live:
        await live.next()
        await world.psql.execute("DELETE FROM ledgers WHERE id = $1", world.ledger_id)
        await closed(live)


async def test_a_session_that_expires(world):
    """Nobody tells of it: the stream knows when."""
    soon = "UPDATE sessions SET expires_at = clock_timestamp() + interval '0.5 s'"
    await world.sql(f"{soon} WHERE user_id = :bob")
    async with world.browser(world.bob) as live:
        assert (await live.next()).name == "ready"
        await live.ends("access", seconds=1)


async def test_an_expiry_that_is_brought_forward(world):
    soon = "UPDATE sessions SET expires_at = clock_timestamp() + interval '0.5 s'"
    async with world.browser(world.bob) as live:
        await live.next()
        await world.sql(f"{soon} WHERE user_id = :bob")
        await live.ends("access", seconds=1)


@pytest.mark.parametrize(
    "name", [*MOVED, "session deleted", "password in psql", "removed", "revoked"]
)
async def test_the_notification_is_lost(world, name, feeding):
    """One query for all streams finds it at the next tick."""
    async with feeding(tick=OFTEN) as feed:
        feed.listener._hear = lambda *_: None
        opened = world.program if name in TOKEN else lambda: world.browser(world.bob)
        async with opened() as live:
            await live.next()
            await ALL[name](world)
            await closed(live)


async def test_it_ends_while_it_begins(world, feeding, monkeypatch):
    """The change comes after the request was let in, before its stream began."""
    check = Guard.check

    async def late(guard, session, streams):
        await world.psql.execute("DELETE FROM sessions WHERE user_id = $1", world.bob.id)
        await check(guard, session, streams)

    monkeypatch.setattr(Guard, "check", late)
    async with feeding(), world.browser(world.bob) as live:
        await live.ends("access")


@pytest.mark.parametrize("name", ["logged out", "disabled", "role changed", "expired"])
async def test_without_the_guard_it_would_go_on(world, name, monkeypatch):
    monkeypatch.setattr(Guard, "suspect", lambda *_: None)
    opened = world.program if name in TOKEN else lambda: world.browser(world.bob)
    async with opened() as live:
        await live.next()
        await ALL[name](world)
        with pytest.raises(TimeoutError):
            await closed(live)
