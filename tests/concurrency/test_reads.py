"""Reading changes nothing: a thousand GETs over all routes of the application move no version."""

import asyncio
from itertools import cycle, islice

import asyncpg
from walk import Reader, paths

from freshledger.app import Freshledger
from ledger import Ledger, let_in

GETS = 1000
STATE = "SELECT ledger_id, version, tx FROM heads ORDER BY ledger_id"


async def new_readers(app: Freshledger, db: asyncpg.Connection, ledger: Ledger) -> list[Reader]:
    """A browser that is signed in, a program with a token, and a stranger."""
    await db.execute("UPDATE users SET is_admin = true WHERE id = $1", ledger.user)
    return [Reader(app, headers) for headers in (*await let_in(db, ledger, scope="read"), {})]


async def test_gets_move_no_version(site: Freshledger, db, ledger: Ledger):
    readers = await new_readers(site, db, ledger)
    before = await db.fetch(STATE)
    asked = [(reader, path) for path in paths(site, ledger) for reader in readers]
    waiting = iter(list(islice(cycle(asked), max(GETS, len(asked)))))

    async def some() -> None:
        for reader, path in waiting:
            await reader.get(path)

    await asyncio.gather(*(some() for _ in range(4)))
    assert await db.fetch(STATE) == before
    statuses = {status for reader in readers for status in reader.statuses.values()}
    assert 200 in statuses
    failed = {path: status for reader in readers for path, status in reader.statuses.items()
              if status >= 500}  # fmt: skip
    assert not failed
    assert sum(reader.asked for reader in readers) >= GETS
    assert site.database.checked_out == 0


async def test_a_get_that_writes_is_caught(site: Freshledger, db, ledger: Ledger):
    """The walk sees a version move, where a route writes past the request's session."""
    before = await db.fetch(STATE)

    async def planted(ledger_id: int):
        async with site.database.write.begin() as session:
            touch = f"UPDATE wallets SET note = 'seen' WHERE ledger_id = {ledger_id}"
            await (await session.connection()).exec_driver_sql(touch)
        return "done"

    site.add_url_rule("/ledgers/<int:ledger_id>/planted", "planted", planted)
    browser, *_ = await new_readers(site, db, ledger)
    for path in paths(site, ledger):
        await browser.get(path)
    assert await db.fetch(STATE) != before
