"""No change is missed, whatever is lost on its way; and each safeguard is needed for that.

Every check runs over the sound feed, and over one whose safeguard is taken away: there it fails.
"""

import asyncio
from dataclasses import dataclass

import asyncpg
import pytest
import streams
from streams import OFTEN, SELDOM, Client, Event, stream

from books import Books
from freshledger.live import feed as feed_module
from freshledger.live import listener
from freshledger.live.errands import Errand
from freshledger.live.feed import Feed, Topic
from freshledger.live.reading import Stand

LABEL = "INSERT INTO labels (ledger_id, name) VALUES ($1, gen_random_uuid())"


@dataclass
class Scene:
    """A ledger, somebody in psql, and a feed of its own."""

    client: object
    books: Books
    psql: asyncpg.Connection
    feed: Feed | None = None

    def open(self):
        return stream(self.client, f"{self.books.path}/live")

    async def commit(self) -> int:
        await self.psql.execute(LABEL, self.books.ledger_id)
        query = "SELECT version FROM heads WHERE ledger_id = $1"
        return await self.psql.fetchval(query, self.books.ledger_id)

    async def told(self, live: Client, version: int) -> None:
        """The stream covers all versions up to that one."""
        events: list[Event] = await live.until(version)
        assert {event.name for event in events} == {"change"}
        assert events[-1].data["version"] == version


class Held:
    """Holds `read_stand` up after it has read, for the first `times` calls from now on."""

    def __init__(self, monkeypatch, times: int = 1) -> None:
        self.times = times
        self.has_read = asyncio.Event()
        self.go_on = asyncio.Event()
        self._read = feed_module.read_stand
        monkeypatch.setattr(feed_module, "read_stand", self)

    async def __call__(self, *arguments, **options) -> Stand | None:
        stand = await self._read(*arguments, **options)
        if self.times:
            self.times -= 1
            self.has_read.set()
            await self.go_on.wait()
        return stand


def heard(feed: Feed, monkeypatch) -> asyncio.Event:
    """An event that is set when the feed has heard of a commit."""
    event, hear = asyncio.Event(), feed.listener._hear

    def note(channel: str, payload: str) -> None:
        hear(channel, payload)
        if channel == "ledger":
            event.set()

    monkeypatch.setattr(feed.listener, "_hear", note)
    return event


async def within(seconds: float, event: asyncio.Event) -> None:
    async with asyncio.timeout(seconds):
        await event.wait()


# The checks


async def a_lost_notification(scene: Scene, monkeypatch) -> None:
    monkeypatch.setattr(scene.feed.listener, "_hear", lambda *_: None)
    async with scene.open() as live:
        await live.next()
        await scene.told(live, await scene.commit())


async def a_killed_connection(scene: Scene, monkeypatch) -> None:
    """The commit is notified while nobody listens."""
    gate, connect = asyncio.Event(), asyncpg.connect

    async def later(*arguments, **options):
        await gate.wait()
        return await connect(*arguments, **options)

    async with scene.open() as live:
        await live.next()
        monkeypatch.setattr(asyncpg, "connect", later)
        pid = scene.feed.listener.connection.get_server_pid()
        await scene.psql.execute("SELECT pg_terminate_backend($1, 5000)", pid)
        version = await scene.commit()
        gate.set()
        await scene.told(live, version)


async def a_deaf_connection(scene: Scene, monkeypatch) -> None:
    """It is connected and answers, but listens to nothing: it is replaced by one that does."""
    compared, compare = asyncio.Event(), scene.feed.listener._compared

    def note(*arguments) -> None:
        compare(*arguments)
        compared.set()

    monkeypatch.setattr(scene.feed.listener, "_compared", note)
    await within(5, compared)
    await scene.feed.listener.connection.execute("UNLISTEN *")
    event = heard(scene.feed, monkeypatch)
    async with asyncio.timeout(5):
        while not event.is_set():
            await scene.psql.execute("NOTIFY ledger, 'x'")


async def a_commit_while_changes_are_read(scene: Scene, monkeypatch) -> None:
    async with scene.open() as live:
        await live.next()
        held = Held(monkeypatch)
        await scene.commit()
        await within(5, held.has_read)
        event = heard(scene.feed, monkeypatch)
        version = await scene.commit()
        await within(5, event)
        held.go_on.set()
        await scene.told(live, version)


async def a_commit_while_the_first_stream_begins(scene: Scene, monkeypatch) -> None:
    held, event = Held(monkeypatch), heard(scene.feed, monkeypatch)
    async with scene.open() as live:
        await within(5, held.has_read)
        version = await scene.commit()
        await within(5, event)
        held.go_on.set()
        assert (await live.next()).data["version"] == version - 1
        await scene.told(live, version)


async def a_commit_while_another_stream_begins(scene: Scene, monkeypatch) -> None:
    """The others have been told of it before this one is ready."""
    async with scene.open() as first:
        await first.next()
        held = Held(monkeypatch)
        async with scene.open() as live:
            await within(5, held.has_read)
            version = await scene.commit()
            await scene.told(first, version)
            held.go_on.set()
            assert (await live.next()).data["version"] == version - 1
            await scene.told(live, version)
            await scene.told(first, await scene.commit())


async def two_first_streams_that_read_apart(scene: Scene, monkeypatch) -> None:
    """The one that read later is ready first."""
    held = Held(monkeypatch)
    async with scene.open() as slow:
        await within(5, held.has_read)
        monkeypatch.setattr(scene.feed.listener, "_hear", lambda *_: None)
        version = await scene.commit()
        async with scene.open() as quick:
            assert (await quick.next()).data["version"] == version
            held.go_on.set()
            assert (await slow.next()).data["version"] == version - 1
            await scene.told(slow, version)


# The safeguards, and how each is taken away


def _does_not_compare(scene: Scene, monkeypatch) -> None:
    monkeypatch.setattr(scene.feed.listener, "_compared", lambda *_: None)


def _trusts_that_it_listens(_scene: Scene, monkeypatch) -> None:
    monkeypatch.setattr(listener, "CHANNELS", frozenset())


def _runs_once(_scene: Scene, monkeypatch) -> None:
    ask = Errand.ask
    monkeypatch.setattr(Errand, "ask", lambda it: None if it._task else ask(it))


def _forgets_hints(_scene: Scene, monkeypatch) -> None:
    never = property(lambda _: False, lambda *_: None)
    monkeypatch.setattr(Topic, "hinted", never, raising=False)


def _never_goes_back(_scene: Scene, monkeypatch) -> None:
    monkeypatch.setattr(Topic, "_is_past", lambda *_: False)


def _subscribes_late(scene: Scene, monkeypatch) -> None:
    begin = Feed.begin

    async def late(feed, stream, topic, mailbox, since):
        topic.mailboxes.discard(mailbox)
        stand = await begin(feed, stream, topic, mailbox, since)
        topic.mailboxes.add(mailbox)
        return stand

    monkeypatch.setattr(Feed, "begin", late)
    _never_goes_back(scene, monkeypatch)


CHECKS = [
    (a_lost_notification, OFTEN, _does_not_compare),
    (a_killed_connection, SELDOM, _does_not_compare),
    (a_deaf_connection, OFTEN, _trusts_that_it_listens),
    (a_commit_while_changes_are_read, SELDOM, _runs_once),
    (a_commit_while_the_first_stream_begins, SELDOM, _forgets_hints),
    (a_commit_while_another_stream_begins, SELDOM, _subscribes_late),
    (two_first_streams_that_read_apart, SELDOM, _never_goes_back),
]


@pytest.fixture
def scene(client, books, psql) -> Scene:
    return Scene(client, books, psql)


@pytest.mark.parametrize(("check", "tick"), [(check, tick) for check, tick, _ in CHECKS])
async def test_holds(check, tick, scene, feeding, monkeypatch):
    async with feeding(tick=tick) as scene.feed:
        await check(scene, monkeypatch)


@pytest.mark.parametrize(("check", "tick", "fault"), CHECKS)
async def test_catches(check, tick, fault, scene, feeding, monkeypatch):
    monkeypatch.setattr(streams, "SECONDS", 1)
    async with feeding(tick=tick) as scene.feed:
        fault(scene, monkeypatch)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await check(scene, monkeypatch)
