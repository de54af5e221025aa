"""Clients that go away: at every await of a write, and from real sockets at random."""

import asyncio
import contextlib
import random
from collections.abc import Callable

import pytest
from faults import FAULTS
from hypercorn.asyncio import serve
from hypercorn.config import Config
from probe import SOUND, Site, new_tag, serving

from scopes import scope
from stepping import Steps, cancel, counting, disconnect, request_leaving

LIMITS = {"pool_size": 5, "pool_timeout": 1.0}
DONE = b"HTTP/1.1 303"


async def sweep(
    site: Site, act: Callable[[Steps], None], *, warm: bool, retried: bool = False
) -> int:
    """Let a client leave at each await of a write, one after the other; return their number.

    A `retried` write meets a serialization failure at its first COMMIT.
    """
    if warm:
        await site.post(f"pairs/{new_tag()}")
        before = await site.backends()
    at, reached = 0, True
    with counting():
        while reached:
            at += 1
            if not warm:
                await site.database.dispose()
            tag = f"commit:40001:1:{new_tag()}" if retried else new_tag()
            reached, parts = await leave(site, tag, at, act)
    if warm:
        assert await site.backends() == before, "connections were thrown away"
    assert parts == 2, "the last one, which nobody left, is not there"
    return at


async def leave(site: Site, tag: str, at: int, act: Callable[[Steps], None]) -> tuple[bool, int]:
    """Check a write whose client leaves; return whether it came so far, and what is there."""
    await site.reset_tries()
    went = await request_leaving(site.app, scope("POST", f"/api/pairs/{tag}"), Steps(at, act))
    parts = await site.parts(tag)
    where = f"at await {at}"
    assert parts in {0, 2}, f"{where}: half a write"
    assert went.held == 0, f"{where}: a connection is still checked out"
    assert went.left == [], f"{where}: the request is over, its work is not"
    assert parts or not went.acknowledged, f"{where}: acknowledged and not there"
    assert await site.idle_in_transaction() == 0, f"{where}: left in a transaction"
    return went.reached, parts


async def sweep_all(site: Site) -> None:
    for act in ACTS.values():
        await sweep(site, act, warm=True)


ACTS = {
    "disconnect": disconnect,
    "cancelled once": cancel(1),
    "cancelled 2 times": cancel(2),
    "cancelled 3 times": cancel(3),
    "cancelled 50 times": cancel(50),
}


@pytest.mark.parametrize("warm", [True, False], ids=["warm", "cold"])
@pytest.mark.parametrize("how", ACTS)
async def test_leaving_at_every_await(how: str, warm, probe_url: str, psql):
    async with serving(probe_url, psql, SOUND, **LIMITS) as site:
        awaits = await sweep(site, ACTS[how], warm=warm)
    assert awaits > (12 if warm else 16)


@pytest.mark.parametrize("how", ACTS)
async def test_leaving_at_every_await_of_a_write_that_is_run_again(how: str, probe_url: str, psql):
    async with serving(probe_url, psql, SOUND, **LIMITS) as site:
        assert await sweep(site, ACTS[how], warm=True, retried=True) > 18


@pytest.mark.parametrize("warm", [True, False], ids=["warm", "cold"])
@pytest.mark.parametrize("how", ACTS)
async def test_leaving_a_read_whose_body_is_half_sent(how: str, warm, probe_url: str, psql):
    """Such a read is cancelled wherever it is: its connection is free when it is over."""
    asked, at, reached = scope("GET", f"/api/snapshot/{new_tag()}"), 0, True
    async with serving(probe_url, psql, SOUND, **LIMITS) as site:
        site.go_on.set()
        with counting():
            while reached:
                at += 1
                if not warm:
                    await site.database.dispose()
                went = await request_leaving(site.app, asked, Steps(at, ACTS[how]), half=True)
                assert (went.held, went.left) == (0, []), f"at await {at}"
                await assert_free(site, patience=10)
                reached = went.reached
    assert went.acknowledged
    assert at > 10


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "fault",
    ["unshielded", "shields the commit once", "abandons the request", "commits after answering"],
)
async def test_leaving_at_every_await_catches(fault: str, probe_url: str, psql):
    async with serving(probe_url, psql, FAULTS[fault], **LIMITS) as site:
        with pytest.raises(AssertionError):
            await sweep_all(site)


MANY = 60
"""More awaits than a write has."""


@pytest.mark.filterwarnings("ignore")
async def test_half_a_write_is_caught(probe_url: str, psql):
    """Statements that commit one by one: among what an unshielded hook leaves are halves."""
    app_class = type("Both", (FAULTS["commits each statement"][0], FAULTS["unshielded"][0]), {})
    hook = (app_class, SOUND[1])
    async with serving(probe_url, psql, hook, **LIMITS) as site:
        found, reached, at = [], True, 0
        with counting():
            while reached and at < MANY and "half a write" not in str(found):
                at += 1
                await site.database.dispose()
                try:
                    reached, _ = await leave(site, new_tag(), at, ACTS["cancelled once"])
                except AssertionError as error:
                    found.append(str(error))
    assert "half a write" in str(found)


class Clients:
    """Raw sockets to a real Hypercorn, closed after a random part of the exchange."""

    def __init__(self, path: str, seed: int) -> None:
        self.path = path
        self.random = random.Random(seed)
        self.acknowledged: set[str] = set()
        self.tags: set[str] = set()
        self.refused = 0

    async def post(self) -> None:
        tag = new_tag()
        self.tags.add(tag)
        how = self.random.choice(["wait", "leave", "leave", "reset", "half body"])
        patience = self.random.uniform(0, 0.02)
        reader, writer = await asyncio.open_unix_connection(self.path)
        head = f"POST /api/pairs/{tag} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\n"
        writer.write(head.encode() + (b"ab" if how == "half body" else b"abcd"))
        try:
            async with asyncio.timeout(20 if how == "wait" else patience):
                answer = await reader.read(12)
            if answer == DONE:
                self.acknowledged.add(tag)
            elif how == "wait":
                self.refused += 1
        except TimeoutError:
            pass
        if how == "reset":
            writer.transport.abort()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def run(self, number: int, at_once: int) -> None:
        async def some() -> None:
            for _ in range(number // at_once):
                await self.post()

        await asyncio.gather(*(some() for _ in range(at_once)))


@contextlib.asynccontextmanager
async def hypercorn(site: Site, path: str):
    config = Config()
    config.bind = [f"unix:{path}"]
    config.accesslog = config.errorlog = None
    config.graceful_timeout = 1
    stop = asyncio.Event()
    server = asyncio.create_task(serve(site.app, config, shutdown_trigger=stop.wait))
    async with asyncio.timeout(10):
        while not server.done():
            try:
                _, writer = await asyncio.open_unix_connection(path)
            except OSError:
                await asyncio.sleep(0)
            else:
                writer.close()
                break
    try:
        yield
    finally:
        stop.set()
        await server


async def storm(site: Site, path: str, *, number: int = 400, patience: float = 20) -> Clients:
    """Let clients come and go; check that every write is whole or absent, and nothing held."""
    clients = Clients(path, seed=7)
    async with hypercorn(site, path):
        await clients.run(number, 20)
        await assert_free(site, patience)
    rows = await site.psql.fetch(
        "SELECT tag, count(*) AS parts FROM probes WHERE tag = ANY($1) GROUP BY tag",
        list(clients.tags),
    )
    parts = {row["tag"]: row["parts"] for row in rows}
    assert set(parts.values()) == {2}
    assert clients.acknowledged <= set(parts)
    assert clients.refused == 0
    return clients


async def assert_free(site: Site, patience: float) -> None:
    """Nothing is held, once PostgreSQL has seen that connections were closed, within seconds."""
    async with asyncio.timeout(patience):
        while await site.idle_in_transaction() or site.database.checked_out:
            pass


async def test_sockets_closed_at_random(probe_url: str, psql, tmp_path):
    async with serving(probe_url, psql, SOUND, **LIMITS | {"pool_timeout": 30.0}) as site:
        clients = await storm(site, f"{tmp_path}/socket")
        assert len(clients.acknowledged) > 50
        response = await site.post(f"pairs/{new_tag()}")
        assert response.status_code == 303


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("fault", ["half bodies hold connections", "commits after answering"])
async def test_sockets_closed_at_random_catches(fault: str, probe_url: str, psql, tmp_path):
    async with serving(probe_url, psql, FAULTS[fault], **LIMITS | {"pool_timeout": 0.5}) as site:
        with pytest.raises((AssertionError, TimeoutError)):
            await storm(site, f"{tmp_path}/socket", number=100, patience=2)


CAUGHT = [
    "unshielded", "shields the commit once", "abandons the request", "commits after answering",
    "half bodies hold connections",
]  # fmt: skip
