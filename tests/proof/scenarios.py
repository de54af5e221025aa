"""For each planted fault the few requests that bring it to light, driven and not hoped for."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import aiohttp
import asyncpg

from locked import until_waiting
from proof.clients import Client, Site
from proof.live import LivePage
from proof.records import Record, Recorder, linked, now, value_set
from proof.runs import version_now

PATIENCE = 2.5
"""Seconds in which a faulty program has shown what a sound one never does."""

HELD = 1.5
"""Seconds for which a COMMIT is held up: less than the program's lock_timeout."""

SETTLES = 4.0
"""Seconds in which an open page follows an event: less than those between two beats."""

SURELY = 10.0


class Memory(Recorder):
    """Keeps records, and says when there is another."""

    def __init__(self) -> None:
        self.process = "test"
        self.records: list[Record] = []
        self.added = asyncio.Event()

    def add(self, record: Record) -> Record:
        self.records.append(record)
        self.added.set()
        return record


@dataclass
class Play:
    """A ledger of a running program, and who uses it."""

    site: Site
    memory: Memory

    @property
    def first(self) -> int:
        return self.site.rows[0]

    @asynccontextmanager
    async def client(self, name: str) -> AsyncIterator[Client]:
        async with Client(self.site, self.memory, name) as client:
            yield client

    async def gate(self, name: str, act: str) -> None:
        """Arm a gate, wait until a request has `reached` it, or `open` it."""
        async with (
            aiohttp.ClientSession(self.site.address, raise_for_status=True) as http,
            http.get(f"/gates/{name}/{act}"),
        ):
            pass

    async def until(self, shown: Callable[[list[Record]], bool], seconds: float = PATIENCE) -> None:
        """Wait until the records are so, but not for long: a sound program's may never be."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not shown(self.memory.records):
                    self.memory.added.clear()
                    await self.memory.added.wait()


async def refused_beside(play: Play) -> None:
    """One request has changed something, and another is refused before the first commits."""
    async with play.client("writer") as writer, play.client("other") as other:
        await play.gate("commit", "arm")
        edit = asyncio.create_task(writer.set_value(play.first, "note", "mine"))
        await play.gate("commit", "reached")
        missing = value_set(0, "note", "nobody's")
        path, body = "/transactions/0", {"note": "nobody's"}
        await other.write("edit", "PATCH", path, (missing,), body=body, row=0, base=1)
        await play.gate("commit", "open")
        await edit


async def list_again(play: Play) -> None:
    """A list is read, changed, and read again."""
    async with play.client("writer") as writer, play.client("reader") as reader:
        await reader.list()
        await writer.set_value(play.first, "note", "new")
        await reader.list()


async def row_again(play: Play) -> None:
    """A movement is read, changed, and read again."""
    async with play.client("writer") as writer, play.client("reader") as reader:
        await reader.row(play.first)
        await writer.set_value(play.first, "note", "new")
        await reader.row(play.first)


async def page_again(play: Play) -> None:
    """A page is read, changed, and read again."""
    async with play.client("writer") as writer, play.client("reader") as reader:
        await reader.page()
        await writer.set_value(play.first, "note", "new")
        await reader.page()


async def read_when_acknowledged(play: Play) -> None:
    """Somebody reads as soon as an edit is acknowledged."""
    async with play.client("writer") as writer, play.client("reader") as reader:
        await play.gate("commit", "arm")
        edit = asyncio.create_task(writer.set_value(play.first, "note", "new"))
        await play.gate("commit", "reached")
        await play.until(lambda records: any(one.kind == "edit" for one in records))
        await reader.list()
        await play.gate("commit", "open")
        await edit
        await reader.list()


async def leave_in_commit(play: Play) -> None:
    """A client goes away while its COMMIT waits for the ledger's version."""
    label, ledger = play.site.labels[0], play.site.ledger
    path = f"/transactions/{play.first}/labels/{label}"
    connection = await asyncpg.connect(play.site.database)
    async with play.client("writer") as writer:
        await writer.list()
        async with connection.transaction():
            await connection.execute("SELECT FROM heads WHERE ledger_id = $1 FOR UPDATE", ledger)
            invoked = now()
            asking = asyncio.create_task(
                writer.send("PUT", play.site.api + path, headers=play.site.program)
            )
            await until_waiting(connection, seconds=SURELY)
            asking.cancel()
            await asyncio.wait([asking])
            with suppress(TimeoutError):
                await until_waiting(connection, somebody=False, seconds=HELD)
        play.memory.add(
            Record("test", "writer", "label", invoked, now(), "left", f"PUT {path}",
                   effects=(linked(play.first, label),))
        )  # fmt: skip
    await _labelled(connection, play)
    await connection.close()


LABELLED = "SELECT count(*) FROM transaction_labels WHERE ledger_id = $1 AND transaction_id = $2"


async def _labelled(connection: asyncpg.Connection, play: Play) -> None:
    """Give the program time to end what it was asked for."""
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while not await connection.fetchval(LABELLED, play.site.ledger, play.first):
                pass


async def fetch_when_told(play: Play) -> None:
    """An open page is told of an edit that has not committed yet, or of none."""
    async with play.client("writer") as writer, _live(play) as page:
        following = asyncio.create_task(page.follow())
        await play.until(lambda records: any(one.told for one in records), SURELY)
        await play.gate("commit", "arm")
        edit = asyncio.create_task(writer.set_value(play.first, "note", "new"))
        await play.gate("commit", "reached")
        told = sum(one.told is not None for one in play.memory.records)
        await play.until(lambda records: _fetched_after(records, told))
        await play.gate("commit", "open")
        await edit
        await page.settled(await version_now(play.site), SETTLES)
        following.cancel()


def _fetched_after(records: list[Record], events: int) -> bool:
    """Whether a page was read after the event that follows the first `events`."""
    told = [place for place, one in enumerate(records) if one.told]
    return len(told) > events and any(one.kind in {"block", "not_modified"}
                                      for one in records[told[events]:])  # fmt: skip


async def edit_before_following(play: Play) -> None:
    """Something happens between the moment a page is rendered and the moment it follows."""
    async with play.client("writer") as writer, _live(play) as page:
        await writer.set_value(play.first, "note", "between")
        following = asyncio.create_task(page.follow())
        await page.settled(await version_now(play.site), SETTLES)
        following.cancel()


@asynccontextmanager
async def _live(play: Play) -> AsyncIterator[LivePage]:
    async with LivePage(play.site, play.memory, "live") as page:
        await page.load()
        yield page


async def edit_within_a_page(play: Play) -> None:
    """An amount changes after a page has read its rows, and before it reads its sums."""
    async with play.client("writer") as writer, play.client("reader") as reader:
        await play.gate("totals", "arm")
        page = asyncio.create_task(reader.page())
        await play.gate("totals", "reached")
        await writer.set_value(play.first, "amount", "123.25")
        await play.gate("totals", "open")
        await page


Scenario = Callable[[Play], Awaitable[None]]

SCENARIOS: dict[str, tuple[Scenario, str]] = {
    "a session shared by two requests": (refused_beside, "lost edit"),
    "a module-level cached list": (list_again, "stale read"),
    "an object cached across requests": (row_again, "fractured page"),
    "REPEATABLE READ left open in the pool": (page_again, "stale read"),
    "commit after the response": (read_when_acknowledged, "stale read"),
    "a commit not shielded from a disconnect": (leave_in_commit, "abandoned edit"),
    "an event sent before its commit": (fetch_when_told, "event before commit"),
    "a feed without catch-up": (edit_before_following, "not converged"),
    "a page made of two snapshots": (edit_within_a_page, "fractured page"),
    "a 304 from an old version": (list_again, "stale read"),
}
"""What brings each fault to light, and how the checker calls what it finds."""
