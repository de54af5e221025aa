"""More requests than connections, and connections that are lost."""

import asyncio

import asyncpg
import pytest
from faults import FAULTS
from probe import SOUND, Site, new_tag, serving
from sqlalchemy import event, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.util import await_only

from freshledger.web import session

REQUESTS = 200
MANY = {"pool_size": 5, "pool_timeout": 10.0, "lock_timeout": 10.0}
FEW = MANY | {"pool_timeout": 0.1}


async def new_counter(site: Site) -> str:
    tag = new_tag()
    await site.psql.execute("INSERT INTO probes (tag, part) VALUES ($1, 1)", tag)
    return tag


async def all_succeed(site: Site) -> None:
    """All are answered, none shares a session, and every write is there."""
    tag = await new_counter(site)
    writes = [site.post(f"counters/{tag}") for _ in range(REQUESTS // 2)]
    reads = [site.get(f"counters/{tag}") for _ in range(REQUESTS // 2)]
    responses = await asyncio.gather(*writes, *reads)
    assert {response.status_code for response in responses} == {200, 303}
    assert len({id(session) for session in site.sessions}) == REQUESTS
    assert len({id(session.identity_map) for session in site.sessions}) == REQUESTS
    assert await site.total(tag) == REQUESTS // 2
    await site.assert_nothing_held()


async def some_are_refused(site: Site) -> None:
    """While others hold all connections, the rest is refused, and told when to come again."""
    tag = await new_counter(site)
    async with site.psql.transaction():
        await site.psql.execute("UPDATE probes SET n = n WHERE tag = $1", tag)
        pending = [asyncio.create_task(site.post(f"counters/{tag}")) for _ in range(REQUESTS)]
        waiting = set(pending)
        while len(waiting) > MANY["pool_size"]:
            _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    responses = await asyncio.gather(*pending)
    statuses = [response.status_code for response in responses]
    assert set(statuses) == {303, 503}
    assert await site.total(tag) == statuses.count(303)
    busy = [response for response in responses if response.status_code == 503]
    assert {response.headers.get("Retry-After") for response in busy} == {"1"}
    await site.assert_nothing_held()


@pytest.mark.parametrize(("check", "limits"), [(all_succeed, MANY), (some_are_refused, FEW)])
async def test_holds(check, limits: dict, probe_url: str, psql: asyncpg.Connection):
    async with serving(probe_url, psql, SOUND, **limits) as site, asyncio.timeout(30):
        await check(site)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("check", "limits", "fault"),
    [
        (all_succeed, MANY, "one session for all"),
        (all_succeed, MANY, "commits only 200"),
        (some_are_refused, FEW, "commits only 200"),
    ],
)
async def test_catches(check, limits: dict, fault: str, probe_url: str, psql: asyncpg.Connection):
    async with serving(probe_url, psql, FAULTS[fault], **limits) as site:
        with pytest.raises((AssertionError, TimeoutError, SQLAlchemyError)):
            async with asyncio.timeout(8):
                await check(site)


async def test_connections_lost_between_requests(probe_url: str, psql: asyncpg.Connection):
    """A restart of PostgreSQL, or its administrator, ended all connections of the pools."""
    async with serving(probe_url, psql, SOUND, **MANY) as site:
        tag = await new_counter(site)
        await asyncio.gather(*(site.post(f"counters/{tag}") for _ in range(5)))
        await asyncio.gather(*(site.get(f"counters/{tag}") for _ in range(5)))
        await psql.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE state = 'idle'"
            " AND datname = current_database() AND query ~ 'probes|COMMIT'"
        )
        responses = await asyncio.gather(
            *(site.post(f"counters/{tag}") for _ in range(5)),
            *(site.get(f"counters/{tag}") for _ in range(5)),
        )
        assert {response.status_code for response in responses} == {200, 303}
        assert await site.total(tag) == 10


@pytest.mark.parametrize("closing", [True, False], ids=["sound", "closed alone"])
async def test_a_connection_lost_in_its_rollback(
    closing, probe_url: str, psql: asyncpg.Connection, monkeypatch
):
    """It has taken its transaction with it: the answer stands, nothing is held, the next works."""
    if not closing:
        monkeypatch.setattr(session, "_end", AsyncSession.close)
    async with serving(probe_url, psql, SOUND, **MANY) as site:
        await site.reset_tries()

        def lose(_connection) -> None:
            end = "SELECT pg_terminate_backend(pid, 5000) FROM unnest($1::int[]) pid"
            await_only(end_backends(end))

        async def end_backends(query: str) -> None:
            await psql.execute(query, await site.backends())

        event.listen(site.database._writing.sync_engine, "rollback", lose, once=True)
        response = await site.post(f"fails/55P03/1/{new_tag()}")
        assert response.status_code == (503 if closing else 500)
        if closing:
            await site.assert_nothing_held()
            assert (await site.post(f"pairs/{new_tag()}")).status_code == 303


async def test_no_free_connection(probe_url: str, psql: asyncpg.Connection):
    await psql.execute("DROP ROLE IF EXISTS probe_limited")
    await psql.execute("CREATE ROLE probe_limited LOGIN CONNECTION LIMIT 0")
    url = make_url(probe_url).set(username="probe_limited").render_as_string(hide_password=False)
    async with serving(url, psql, SOUND, **MANY) as site:
        response = await site.get(f"pairs/{new_tag()}")
        assert response.status_code == 503
        assert response.headers["Retry-After"] == "1"


async def test_no_server(psql: asyncpg.Connection, tmp_path):
    async with serving(f"postgresql://postgres@/x?host={tmp_path}", psql, SOUND, **MANY) as site:
        response = await site.get(f"pairs/{new_tag()}")
        assert response.status_code == 503
        assert response.headers["Retry-After"] == "1"
