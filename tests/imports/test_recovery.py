"""Several processes: what one left behind is put right, what another works on is left alone."""

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
import pytest

from freshledger.imports import presence, recovery, runner
from freshledger.imports.tasks import Tasks


async def look(desk: Any) -> None:
    """What another process does when two of its looks met the same jobs."""
    await recovery.recover(desk.database, await recovery.list_jobs(desk.database))


async def claimed(desk: Any, movement: Any, name: str) -> Any:
    key = await desk.stage(desk.file(movement(name)))
    async with desk.database.write.begin() as session:
        await runner.claim_import(session, key)
    return key


def names(key: Any) -> str:
    return f"import {key.ledger_id}/{key.import_id}"


async def held(psql: asyncpg.Connection, name: str) -> bool:
    """Whether somebody shows that work of that name waits its turn."""
    free = "SELECT pg_try_advisory_xact_lock(hashtextextended('waiting ' || $1, 0))"
    return not await psql.fetchval(free, name)


async def until_held(psql: asyncpg.Connection, name: str) -> None:
    async with asyncio.timeout(20):
        while not await held(psql, name):
            pass  # each look is a round trip


@pytest.fixture
async def busy(desk: Any) -> Any:
    """A process whose only place is taken."""
    tasks, free = Tasks(desk.database, 1), asyncio.Event()
    tasks.start(free.wait(), "import 0/0")
    yield tasks, free
    await tasks.stop()


async def test_what_waits_its_turn_is_not_left_behind(
    desk: Any, movement: Any, psql: Any, busy: Any
) -> None:
    tasks, free = busy
    key = await claimed(desk, movement, "a")
    commit = runner.Commit(key, "test")
    task = tasks.start(runner.run_import(desk.database, commit, lambda *_: None), names(key))
    await until_held(psql, names(key))
    await look(desk)
    assert await desk.status(key) == "committing"
    free.set()
    assert (await task)["new"] == 1
    assert await desk.status(key) == "done"
    assert not await held(psql, names(key))


async def test_without_the_lock_it_would_have_been_taken_for_left_behind(
    desk: Any, movement: Any, psql: Any, busy: Any, monkeypatch: Any
) -> None:
    @asynccontextmanager
    async def hidden(_self: Any, _name: str) -> Any:
        yield

    monkeypatch.setattr(presence.Presence, "shown", hidden)
    tasks, _free = busy
    key = await claimed(desk, movement, "a")
    tasks.start(runner.run_import(desk.database, runner.Commit(key, "test"), print), names(key))
    await look(desk)
    assert await desk.status(key) == "staged"
    assert not await held(psql, names(key))


async def test_a_process_that_ends_lets_go(desk: Any, movement: Any, psql: Any, busy: Any) -> None:
    tasks, _free = busy
    key = await claimed(desk, movement, "a")
    task = tasks.start(
        runner.run_import(desk.database, runner.Commit(key, "test"), print), names(key)
    )
    await until_held(psql, names(key))
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert not await held(psql, names(key))
    await look(desk)
    assert await desk.status(key) == "staged"
    assert (await desk.commit(key))["new"] == 1


async def test_a_lost_connection_is_made_again(
    desk: Any, movement: Any, psql: Any, busy: Any
) -> None:
    tasks, _free = busy
    keys = [await claimed(desk, movement, name) for name in "ab"]
    for key in keys:
        commit = runner.Commit(key, "test")
        tasks.start(runner.run_import(desk.database, commit, print), names(key))
        await until_held(psql, names(key))
        if key is keys[0]:
            await psql.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
                " AND mode = 'ShareLock' AND pid <> pg_backend_pid() AND database ="
                " (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
    assert [await held(psql, names(key)) for key in keys] == [True, True]


async def test_only_what_two_looks_meet_is_left_behind(
    desk: Any, movement: Any, monkeypatch: Any
) -> None:
    key = await claimed(desk, movement, "a")
    looks: asyncio.Queue[None] = asyncio.Queue()
    again, sleep = asyncio.Event(), asyncio.sleep

    async def pause(seconds: float) -> None:
        if asyncio.current_task() is not looking:  # the application looks too
            await sleep(seconds)
            return
        looks.put_nowait(None)
        await again.wait()
        again.clear()

    monkeypatch.setattr(recovery.asyncio, "sleep", pause)
    looking = asyncio.create_task(recovery.keep_recovering(desk.database))
    try:
        await looks.get()
        assert await desk.status(key) == "committing"
        again.set()
        await looks.get()
        assert await desk.status(key) == "staged"
    finally:
        looking.cancel()
        await asyncio.wait([looking])
