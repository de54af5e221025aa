"""COMMITs and replies that are lost between the application and PostgreSQL.

Each check runs over the sound hook, where it holds, and over planted faults, where it must fail.
"""

import asyncio

import asyncpg
import pytest
from faults import FAULTS
from probe import SOUND, Hook, Site, new_tag, serving
from sqlalchemy.exc import SQLAlchemyError

from freshledger.web import outcome
from proxy import Fault, Proxy, proxied

LIMITS = {"pool_size": 5, "pool_timeout": 2.0, "lock_timeout": 1.0, "statement_timeout": 1.0}
LOST_REPLIES = (Fault.LOSE_REPLY, Fault.RESET_REPLY)
LOST_COMMITS = (Fault.LOSE_COMMIT, Fault.RESET_COMMIT)


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """Seconds that a test waits for a server that does not come back."""
    monkeypatch.setattr(outcome, "PATIENCE", 1.5)


async def lost_reply(site: Site, proxy: Proxy) -> None:
    """What was committed is acknowledged, and done once."""
    for fault in LOST_REPLIES:
        tag = new_tag()
        proxy.at_commit(fault)
        response = await site.post(f"additions/{tag}")
        assert response.status_code == 303
        assert await site.total(tag) == 1
    await site.assert_nothing_held()


async def lost_commit(site: Site, proxy: Proxy) -> None:
    """What was not is run again, and done once; also if that happens twice."""
    for fault in LOST_COMMITS:
        tag = new_tag()
        site.runs = 0
        proxy.at_commit(fault, fault)
        response = await site.post(f"additions/{tag}")
        assert (response.status_code, site.runs) == (303, 3)
        assert await site.total(tag) == 1
    await site.assert_nothing_held()


async def lost_thrice(site: Site, proxy: Proxy) -> None:
    """Three times in a row is enough: 503, try again, and nothing is left."""
    tag = new_tag()
    proxy.at_commit(Fault.LOSE_COMMIT, Fault.RESET_COMMIT, Fault.LOSE_COMMIT)
    response = await site.post(f"additions/{tag}")
    assert response.status_code == 503
    assert (await response.get_json())["code"] == "busy"
    assert response.headers["Retry-After"] == "1"
    assert await site.total(tag) is None
    await site.assert_nothing_held()


async def late_commit(site: Site, proxy: Proxy) -> None:
    """While the server has not seen the end of it, nobody guesses."""
    tag = new_tag()
    proxy.at_commit(Fault.LATE)
    posting = asyncio.create_task(site.post(f"additions/{tag}"))
    await proxy.met.wait()
    done, _ = await asyncio.wait([posting], timeout=0.3)
    assert not done
    await proxy.let_go()
    response = await posting
    assert (response.status_code, site.runs) == (303, 1)
    assert await site.total(tag) == 1


async def silent(site: Site, proxy: Proxy) -> None:
    """Where nothing comes back the wait is bounded, and then the server is asked."""
    for fault in (Fault.SILENT_REPLY, Fault.SILENT_COMMIT):
        site.app.database.commit_seconds = 0.3
        tag = new_tag()
        proxy.at_commit(fault)
        response = await site.post(f"additions/{tag}")
        proxy.cut()
        assert response.status_code == (303 if fault is Fault.SILENT_REPLY else 503)
        assert await site.total(tag) in {1, None}


async def away_a_while(site: Site, proxy: Proxy) -> None:
    """A server that comes back in time is asked then."""
    for fault in (Fault.AWAY_REPLY, Fault.AWAY_COMMIT):
        tag = new_tag()
        proxy.at_commit(fault)
        posting = asyncio.create_task(site.post(f"additions/{tag}"))
        await proxy.met.wait()
        done, _ = await asyncio.wait([posting], timeout=0.3)
        assert not done
        proxy.open()
        assert (await posting).status_code == 303
        assert await site.total(tag) == 1


async def away_for_good(site: Site, proxy: Proxy) -> None:
    """A server that does not: nobody claims to know."""
    for fault, left in ((Fault.AWAY_REPLY, 1), (Fault.AWAY_COMMIT, None)):
        tag = new_tag()
        proxy.at_commit(fault)
        response = await site.post(f"additions/{tag}")
        assert response.status_code == 503
        problem = await response.get_json()
        assert problem["code"] == "outcome_unknown"
        assert "look whether the change is there" in problem["detail"]
        assert "Retry-After" not in response.headers
        assert await site.total(tag) == left
        await site.assert_nothing_held()
        proxy.open()


async def killed_in_commit(site: Site, _proxy: Proxy) -> None:
    """A backend that ends in COMMIT has done nothing; it is run again, in the end refused."""
    tag = f"commit:lost:1:{new_tag()}"
    await site.reset_tries()
    response = await site.post(f"pairs/{tag}")
    assert (response.status_code, site.runs) == (503, 3)
    assert (await response.get_json())["code"] == "busy"
    assert await site.parts(tag) == 0
    await site.assert_nothing_held()


async def nothing_written(site: Site, proxy: Proxy) -> None:
    """A write that changed nothing has nothing to lose."""
    proxy.at_commit(Fault.LOSE_COMMIT)
    response = await site.post(f"counters/{new_tag()}")
    assert (response.status_code, site.runs) == (303, 0)


BLIND, CLAIMS = "runs a lost commit again blindly", "takes a lost commit for done"
GIVES_UP = "never asks what became of a lost commit"
CHECKS = {
    lost_reply: [BLIND, GIVES_UP],
    lost_commit: [CLAIMS, GIVES_UP],
    lost_thrice: [CLAIMS],
    late_commit: [BLIND, CLAIMS, "takes a commit in progress for lost"],
    silent: [BLIND],
    away_a_while: [BLIND, CLAIMS, GIVES_UP],
    away_for_good: [CLAIMS, BLIND],
    killed_in_commit: [CLAIMS],
    nothing_written: [],
}
PAIRS = [(check, fault) for check, faults in CHECKS.items() for fault in faults]


async def run(check, hook: Hook, url: str, psql: asyncpg.Connection) -> None:
    async with proxied(url) as proxy, serving(proxy.url, psql, hook, **LIMITS) as site:
        async with asyncio.timeout(12):
            await check(site, proxy)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_holds(check, probe_url: str, psql: asyncpg.Connection):
    await run(check, SOUND, probe_url, psql)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("check", "fault"), PAIRS, ids=[f"{check.__name__}-{fault}" for check, fault in PAIRS]
)
async def test_catches(check, fault: str, probe_url: str, psql: asyncpg.Connection):
    with pytest.raises((AssertionError, TimeoutError, SQLAlchemyError)):
        await run(check, FAULTS[fault], probe_url, psql)
