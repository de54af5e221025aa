"""COMMITs and replies that are lost between the application and PostgreSQL.

Each check runs over the sound hook, where it holds, and over planted faults, where it must fail.
"""

import asyncio
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from faults import FAULTS
from probe import SOUND, Hook, Site, new_tag, serving
from quart.datastructures import FileStorage
from sending import Sender, count_movements, movement, new_key
from sqlalchemy.exc import SQLAlchemyError

from books import Books, signed_in
from freshledger.app import create_app
from freshledger.settings import Settings
from freshledger.web import outcome
from freshledger.web.idempotency import FIELD
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


@pytest.fixture
async def proxy(database_url: str):
    async with proxied(database_url) as proxy, asyncio.timeout(20):
        yield proxy


@pytest.fixture
async def sender(proxy: Proxy, books: Books, tmp_path: Path):
    """A browser of the whole application, whose database is behind the proxy."""
    app = create_app(Settings(data_dir=tmp_path, database_url=proxy.url))
    async with app.test_app():
        yield Sender(signed_in(app, books), books)


_TYPED = {"occurred_at": "2026-01-02T03:04:05", "status": "confirmed"}


async def sends(sender: Sender, way: str, key: str | None, body: dict):
    if way == "api":
        return await sender.post("/transactions", body, key)
    return await sender.form("/transactions", body | _TYPED, key)


GOOD = {"api": 201, "form": 303}


@pytest.mark.parametrize("fault", [*LOST_REPLIES, *LOST_COMMITS], ids=lambda fault: fault.name)
@pytest.mark.parametrize("keyed", [True, False], ids=["key", "no key"])
@pytest.mark.parametrize("way", GOOD)
async def test_a_write_is_done_once(sender, proxy, psql, way, keyed, fault):
    books = sender.books
    body, key = await movement(psql, books), new_key() if keyed else None
    before = proxy.commits
    proxy.at_commit(fault)
    response = await sends(sender, way, key, body)
    assert response.status_code == GOOD[way], await response.get_data(as_text=True)
    assert "Idempotency-Replayed" not in response.headers
    assert await count_movements(psql, books) == 1
    assert proxy.commits - before == (2 if fault in LOST_COMMITS else 1)
    if key:
        again = await sends(sender, way, key, body)
        assert again.headers["Idempotency-Replayed"] == "true"
        assert again.headers["Location"] == response.headers["Location"]
        assert await count_movements(psql, books) == 1


@pytest.mark.parametrize(
    "fault", [Fault.AWAY_REPLY, Fault.AWAY_COMMIT], ids=lambda fault: fault.name
)
@pytest.mark.parametrize("way", GOOD)
async def test_when_nobody_knows_the_same_key_helps(sender, proxy, psql, books, way, fault):
    body, key = await movement(psql, books), new_key()
    proxy.at_commit(fault)
    unknown = await sends(sender, way, key, body)
    assert unknown.status_code == 503
    told = await unknown.get_data(as_text=True)
    assert "it is not done twice" in told
    if way == "form":
        assert f'name="idempotency_key" value="{key}"' in told
        assert 'name="amount" value="1"' in told
    proxy.open()
    again = await sends(sender, way, key, body)
    assert again.status_code == GOOD[way]
    assert ("Idempotency-Replayed" in again.headers) == (fault is Fault.AWAY_REPLY)
    assert await count_movements(psql, books) == 1


async def test_an_id_that_was_given_again_after_a_crash(database, psql, books):
    """The server says committed of an id whose transaction was lost: its row is not there."""
    async with psql.transaction():
        await psql.execute("UPDATE users SET name = name WHERE id = $1", books.user_id)
        xid = int(await psql.fetchval("SELECT pg_current_xact_id()::text"))
    lost = outcome.Written(books.user_id, new_key(), datetime.now(UTC))
    assert await outcome.find_outcome(database, outcome.Mark(xid)) is True
    assert await outcome.find_outcome(database, outcome.Mark(xid, lost)) is False


async def test_an_id_that_has_yet_to_be_given(database):
    assert await outcome.find_outcome(database, outcome.Mark(2**40 + 5)) is False


async def test_a_row_of_the_same_key_by_another_transaction(database, psql, books):
    """An equal request that came meanwhile did it: the answer to be sent is its own."""
    key = new_key()
    made = "INSERT INTO idempotency_keys (user_id, key, request) VALUES ($1, $2, '')"
    async with psql.transaction():
        at = await psql.fetchval(f"{made} RETURNING created_at", books.user_id, key)
        xid = int(await psql.fetchval("SELECT pg_current_xact_id()::text"))
    row = outcome.Written(books.user_id, key, at)
    assert await outcome.find_outcome(database, outcome.Mark(xid, row)) is True
    assert await outcome.find_outcome(database, outcome.Mark(xid - 1, row)) is False
    later = outcome.Written(books.user_id, key, at + timedelta(microseconds=1))
    assert await outcome.find_outcome(database, outcome.Mark(xid, later)) is False


@pytest.mark.parametrize(
    "fault", [Fault.LOSE_REPLY, Fault.LOSE_COMMIT], ids=lambda fault: fault.name
)
@pytest.mark.parametrize("keyed", [True, False], ids=["key", "no key"])
async def test_an_upload_begins_one_import(sender, proxy, psql, books, keyed, fault):
    form = {"csrf_token": books.csrf_token, "wallet": "Files"}
    form |= {FIELD: new_key()} if keyed else {}
    proxy.at_commit(fault)
    for _ in range(1 + keyed):
        files = {"files": FileStorage(io.BytesIO(b"a,b\n1,2\n"), filename="a.csv", name="files")}
        response = await sender.client.post(f"{books.path}/imports", form=form, files=files)
        assert response.status_code == 303
    found = await psql.fetch("SELECT id FROM imports WHERE ledger_id = $1", books.ledger_id)
    assert [response.headers["Location"]] == [f"{books.path}/imports/{row['id']}" for row in found]
