"""Reading an upload: seen while it goes on, cancelled, stopped, and found again after a crash."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any

import asyncpg
import pytest
from quart.datastructures import FileStorage

from freshledger.imports import commands, recovery, repository, runner, tasks, work
from freshledger.imports.files import uploads_folder
from freshledger.imports.formats.own import csv_line
from freshledger.imports.reading import BATCH


@pytest.fixture
def long_file(desk: Any, many: Any, movement: Any) -> Any:
    """A file of two batches, of which the second needs the wallet Other."""
    return desk.file(*many(BATCH), movement("last", wallet="Other"))


@asynccontextmanager
async def held_up(desk: Any) -> AsyncIterator[None]:
    """Let nobody make the wallet Other meanwhile: whoever wants to, waits."""
    transaction = desk.psql.transaction()
    await transaction.start()
    await desk.psql.execute(
        "INSERT INTO wallets (ledger_id, name) VALUES ($1, 'Other')", desk.ledger_id
    )
    try:
        yield
    finally:
        await transaction.rollback()


async def halfway(desk: Any, import_id: int) -> tuple[int, int]:
    """Return the progress once there is some; each look waits for the database."""
    async with asyncio.timeout(30), desk.database.read() as session:
        key = {"ledger_id": desk.ledger_id, "import_id": import_id}
        while (shown := await repository.find_progress(session, **key)) is None:
            pass
    return shown


async def begun(desk: Any, file: Any) -> Any:
    """Begin to read, and return once the first batch is read."""
    key, token = await desk.upload(file)
    task = asyncio.create_task(desk.read(key, token))
    await halfway(desk, key.import_id)
    return key, token, task


async def left(desk: Any, key: Any, token: str) -> tuple[str | None, int, bool]:
    """Return the import's status, how many rows are staged, and whether its upload is there."""
    there = (uploads_folder(desk.settings) / token).exists()
    return await desk.status(key), await desk.count("staged_rows"), there


async def test_a_page_shows_how_far_reading_is_and_cancels_it(
    client: Any, books: Any, desk: Any, long_file: Any
) -> None:
    files = {"files": FileStorage(BytesIO(long_file.read_bytes()), filename="long.csv")}
    form = {"csrf_token": books.csrf_token}
    async with held_up(desk):
        posted = await client.post(
            f"{books.path}/imports", form={"wallet": "Main"} | form, files=files
        )
        assert posted.status_code == 303
        import_id = int(posted.location.rsplit("/", 1)[-1])
        done, total = await halfway(desk, import_id)
        assert 0 < done <= total == long_file.stat().st_size
        page = await (await client.get(posted.location)).get_data(as_text=True)
        assert "Reading the files" in page
        assert 'max="100"' in page
        assert 'hx-trigger="every 1s"' in page
        shown = await (await client.get(f"{books.api}/imports/{import_id}")).get_json()
        assert (shown["status"], shown["total"], shown["counts"]) == ("reading", total, None)
        assert (await client.post(f"{posted.location}/commit", form=form)).status_code == 303
        cancelled = await client.post(f"{posted.location}/cancel", form=form)
        assert cancelled.status_code == 303
    page = await (await client.get(posted.location)).get_data(as_text=True)
    assert "This import was cancelled" in page


async def test_cancelled_reading_leaves_nothing(desk: Any, long_file: Any) -> None:
    async with held_up(desk):
        key, token, task = await begun(desk, long_file)
        await desk.cancel(key)
    with pytest.raises(work.Cancelled):
        await task
    assert await left(desk, key, token) == ("cancelled", 0, False)


async def test_cancelled_reading_again_leaves_nothing_of_the_first(
    desk: Any, movement: Any
) -> None:
    key, token = await desk.upload(desk.file(movement("a")))
    await desk.read(key, token)
    assert await left(desk, key, token) == ("staged", 1, True)
    async with desk.database.write.begin() as session:
        await commands.answer_import(session, key=key, answers={})
    await desk.cancel(key)
    with pytest.raises(work.Cancelled):
        await desk.read(key, token)
    assert await left(desk, key, token) == ("cancelled", 0, False)


async def test_what_ends_a_file_is_told_by_line_and_nothing_is_staged(
    desk: Any, many: Any, movement: Any
) -> None:
    text = desk.file(*many(BATCH)).read_bytes().decode() + csv_line(movement("b")) + '"open'
    key, token = await desk.upload(desk.text(text))
    await desk.read(key, token)
    assert await left(desk, key, token) == ("staged", 0, True)
    async with desk.database.read() as session:
        found = await repository.get_import(
            session, ledger_id=desk.ledger_id, import_id=key.import_id
        )
    assert f"line {BATCH + 3}" in found.options["problem"]["message"]
    assert found.counts == {}


async def test_a_stop_while_reading_is_told(desk: Any, long_file: Any, psql: Any) -> None:
    async with held_up(desk):
        key, token, task = await begun(desk, long_file)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await left(desk, key, token) == ("failed", 0, False)
    assert await error_of(psql, key) == "the program was stopped while it read"


async def error_of(psql: asyncpg.Connection, key: Any) -> str | None:
    wanted = "SELECT error FROM imports WHERE ledger_id = $1 AND id = $2"
    return await psql.fetchval(wanted, key.ledger_id, key.import_id)


async def test_a_start_after_a_crash_puts_reading_right(
    desk: Any, long_file: Any, psql: Any, movement: Any
) -> None:
    crashed, _token = await desk.upload(desk.file(movement("a")))
    async with held_up(desk):
        running, _token, task = await begun(desk, long_file)
        await recovery.recover(desk.database, await recovery.list_jobs(desk.database))
        assert (await desk.status(crashed), await desk.status(running)) == ("failed", "reading")
    assert await error_of(psql, crashed) == "the program was stopped while it read"
    await task
    assert (await desk.commit(running))["new"] == BATCH + 1


async def test_what_nobody_committed_for_a_week_is_dropped(
    desk: Any, movement: Any, psql: Any
) -> None:
    old, token = await desk.upload(desk.file(movement("a", wallet="Other")))
    await desk.read(old, token)
    await psql.execute(
        "UPDATE imports SET created_at = now() - interval '8 days' WHERE ledger_id = $1",
        desk.ledger_id,
    )
    folder = uploads_folder(desk.settings) / token
    week_ago = time.time() - 8 * 24 * 3600
    os.utime(folder, (week_ago, week_ago))
    waiting = await desk.stage(desk.file(movement("b")), wallet="Kept")
    async with tasks.running_tasks(desk.database, desk.settings):
        assert await desk.status(waiting) == "staged"
        assert await left(desk, old, token) == (None, 1, False)
    wallets = await psql.fetch("SELECT name FROM wallets WHERE ledger_id = $1", desk.ledger_id)
    assert [row["name"] for row in wallets] == ["Kept"]


async def test_taking_back_is_cancelled_and_leaves_all(
    client: Any, books: Any, desk: Any, movement: Any
) -> None:
    key = await desk.stage(desk.file(movement("a"), movement("b")))
    await desk.commit(key)
    url, form = f"{books.path}/imports/{key.import_id}", {"csrf_token": books.csrf_token}
    async with wallet_in_use(desk):
        assert (await client.post(f"{url}/take-back", form=form)).status_code == 303
        page = await (await client.get(url)).get_data(as_text=True)
        assert "Removing what only this import brought" in page
        again = await client.post(f"{url}/take-back", form=form)
        assert again.status_code == 409
        assert (await client.post(f"{url}/cancel", form=form)).status_code == 303
    assert (await desk.status(key), await desk.count()) == ("done", 2)
    await over(desk, key)
    assert await desk.take_back(key) == 2


async def over(desk: Any, key: Any) -> None:
    """Wait until nobody works on an import any more."""
    async with desk.psql.transaction():
        name = f"import {key.ledger_id}/{key.import_id}"
        await desk.psql.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", name)


@asynccontextmanager
async def wallet_in_use(desk: Any) -> AsyncIterator[None]:
    """Be another import into the ledger's wallets: whoever imports or takes back, waits."""
    async with desk.psql.transaction():
        await desk.psql.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended("
            "'import into ' || ledger_id || '/' || id, 0)) FROM wallets WHERE ledger_id = $1",
            desk.ledger_id,
        )
        yield


async def test_a_start_after_a_crash_puts_taking_back_right(
    desk: Any, movement: Any, psql: Any
) -> None:
    key = await desk.stage(desk.file(movement("a")))
    await desk.commit(key)
    async with desk.database.write.begin() as session:
        await runner.claim_taking_back(session, key)
    await recovery.recover(desk.database, await recovery.list_jobs(desk.database))
    assert (await desk.status(key), await desk.count()) == ("done", 1)
    assert await error_of(psql, key) == "the program was stopped while it took it back"
    assert await desk.take_back(key) == 1
    assert await error_of(psql, key) is None


async def test_what_one_that_may_yet_be_kept_contains_stays(desk: Any, movement: Any) -> None:
    keys = [await desk.stage(desk.file(movement("a"), movement(name))) for name in ("b", "c")]
    for key in keys:
        await desk.commit(key)
    async with desk.database.write.begin() as session:
        await runner.claim_taking_back(session, keys[1])
    assert await desk.take_back(keys[0]) == 1
    await desk.cancel(keys[1])
    assert await desk.rows("identity") == [("a",), ("c",)]
    assert await desk.take_back(keys[1]) == 2


async def test_two_that_are_taken_back_at_once_leave_nothing(desk: Any, movement: Any) -> None:
    keys = [await desk.stage(desk.file(movement("a"), movement(name))) for name in ("b", "c")]
    for key in keys:
        await desk.commit(key)
    assert sum(await asyncio.gather(*(desk.take_back(key) for key in keys))) == 3
    assert await desk.count() == 0
