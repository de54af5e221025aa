"""The proxy of other tests does with a COMMIT what it says."""

import asyncio

import asyncpg
import pytest

from proxy import Fault, proxied

DONE = {Fault.PASS, Fault.LOSE_REPLY, Fault.RESET_REPLY, Fault.SILENT_REPLY, Fault.AWAY_REPLY}
SILENT = {Fault.SILENT_REPLY, Fault.SILENT_COMMIT}
AWAY = {Fault.AWAY_REPLY, Fault.AWAY_COMMIT}


async def write(connection: asyncpg.Connection, tag: str) -> None:
    async with connection.transaction():
        await connection.execute("INSERT INTO ledgers (name) VALUES ($1)", tag)


@pytest.fixture
async def proxy(database_url: str):
    async with proxied(database_url) as proxy, asyncio.timeout(10):
        yield proxy


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.LATE])
async def test_each_fault(fault: Fault, proxy, psql: asyncpg.Connection):
    connection = await asyncpg.connect(proxy.url)
    proxy.at_commit(fault)
    writing = asyncio.create_task(write(connection, f"{fault}"))
    if fault in SILENT:
        await proxy.met.wait()
        done, _ = await asyncio.wait([writing], timeout=0.3)
        assert not done
        proxy.cut()
    if fault is not Fault.PASS:
        with pytest.raises(asyncpg.ConnectionDoesNotExistError):
            await writing
    await writing if fault is Fault.PASS else None
    if fault in AWAY:
        with pytest.raises(OSError):
            await asyncpg.connect(proxy.url)
        proxy.open()
    again = await asyncpg.connect(proxy.url)
    found = await psql.fetchval("SELECT count(*) FROM ledgers WHERE name = $1", f"{fault}")
    assert found == (fault in DONE)
    assert proxy.commits == 1
    await again.close()
    connection.terminate()


async def test_a_late_commit_is_done_when_it_is_let_go(proxy, psql: asyncpg.Connection):
    connection = await asyncpg.connect(proxy.url)
    proxy.at_commit(Fault.LATE)
    with pytest.raises(asyncpg.ConnectionDoesNotExistError):
        await write(connection, "late")
    xid = await psql.fetchval("SELECT max(backend_xid::text::bigint) FROM pg_stat_activity")
    assert await psql.fetchval("SELECT pg_xact_status($1::text::xid8)", str(xid)) == "in progress"
    await proxy.let_go()
    assert await psql.fetchval("SELECT pg_xact_status($1::text::xid8)", str(xid)) == "committed"
