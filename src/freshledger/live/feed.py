"""The feed of a process: hears of commits, reads what they did once, and tells all who watch.

A notification is only a hint, which may be lost, late or forged. What counts is the comparison
of versions: after every connect and every few seconds it finds each ledger that has moved on.
Streams hold no connection.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from uuid import UUID

from freshledger.database import Database
from freshledger.live.access import READ_SECONDS, Guard
from freshledger.live.board import Board
from freshledger.live.errands import Errand
from freshledger.live.events import Kind, News
from freshledger.live.listener import Heads, Listener
from freshledger.live.mailbox import Mailbox
from freshledger.live.reading import Stand, read_stand
from freshledger.live.streams import Stream, run_clock

TICK = 3.0
"""Seconds between two comparisons of versions."""

READERS = 3
"""Connections of the pool that the feed uses at most at once."""

_HINT = re.compile(r"([0-9]{1,18}):([0-9]{1,18})")
_USER = re.compile(r"[0-9]{1,18}")


class Topic:
    """A ledger that has streams: what they have been told, and when that was last true."""

    def __init__(self, ledger_id: int) -> None:
        self.ledger_id = ledger_id
        self.version: int | None = None
        self.epoch: UUID | None = None
        self.confirmed_at = 0.0
        self.hinted = False
        self.mailboxes: set[Mailbox] = set()
        self.errand: Errand

    def settle(self, mailbox: Mailbox, stand: Stand, began: float) -> None:
        """Let the mailbox begin at `stand`, and be told all that comes after it."""
        connects = mailbox.settle(stand)
        if self.version is None:
            self.version, self.epoch, self.confirmed_at = stand.version, stand.epoch, began
            if self.hinted:  # maybe of what came after the reading
                self.errand.ask()
        elif self.epoch != stand.epoch or not connects or self._is_past(mailbox, stand):
            self.version, self.epoch = stand.version, stand.epoch
            self.errand.ask()

    def _is_past(self, mailbox: Mailbox, stand: Stand) -> bool:
        """Whether others were told of something after `stand` that this mailbox has missed."""
        return self.version is not None and self.version > max(stand.version, mailbox.newest)


class Feed:
    """All that a process tells its streams; one listening connection, however many they are."""

    def __init__(self, database: Database, *, tick: float = TICK) -> None:
        self.tick = tick
        self.stopping = False
        self.topics: dict[int, Topic] = {}
        self._database = database
        self._places = asyncio.Semaphore(READERS)
        self.guard = Guard(database.read)
        self.board = Board(database.read)
        self.listener = Listener(
            database.url,
            hear=self.hear,
            asked=lambda: self.topics,
            compared=self._compared,
            tick=tick,
        )

    @contextmanager
    def watching(self, stream: Stream) -> Iterator[None]:
        """Keep a stream's access checked; it is ended at once when the process stops."""
        if self.stopping:
            stream.end("shutdown")
        self.guard.streams.add(stream)
        try:
            yield
        finally:
            self.guard.streams.discard(stream)
            self.board.streams.discard(stream)

    @contextmanager
    def subscribed(self, ledger_id: int, stream: Stream) -> Iterator[tuple[Topic, Mailbox]]:
        """Put up a mailbox that is told of the ledger from now on."""
        topic = self.topics.get(ledger_id)
        if topic is None:
            topic = self.topics[ledger_id] = self._topic(ledger_id)
        mailbox = Mailbox(stream.wake)
        topic.mailboxes.add(mailbox)
        try:
            yield topic, mailbox
        finally:
            topic.mailboxes.discard(mailbox)
            if not topic.mailboxes and self.topics.get(ledger_id) is topic:
                del self.topics[ledger_id]

    def _topic(self, ledger_id: int) -> Topic:
        topic = Topic(ledger_id)
        topic.errand = Errand(lambda: self._refresh(topic), f"ledger {ledger_id} was not read")
        return topic

    async def begin(
        self, stream: Stream, topic: Topic, mailbox: Mailbox, since: int | None
    ) -> Stand | None:
        """Take the stream's standing, and read where its ledger stands; None without either.

        The mailbox must be up already, so that nothing falls between.
        """
        began = asyncio.get_running_loop().time()
        async with self._places, asyncio.timeout(READ_SECONDS):
            async with self._database.read() as session:
                await self.guard.check(session, [stream])
            stand = await read_stand(self.listener.fetch, topic.ledger_id, since=since)
        if stand is not None and stream.ended is None:
            topic.settle(mailbox, stand, began)
        return stand

    async def begin_board(self, stream: Stream) -> None:
        """Take the stream's standing, and what its page shows by now."""
        self.board.streams.add(stream)
        async with self._places, asyncio.timeout(READ_SECONDS), self._database.read() as session:
            await self.guard.check(session, [stream])
            await self.board.look(session, [stream])

    def is_true(self, confirmed_at: float) -> bool:
        """Whether what was confirmed then may still be told as the truth of now."""
        return asyncio.get_running_loop().time() - confirmed_at < 2 * self.tick

    def hear(self, channel: str, payload: str) -> None:
        """Follow a notification's hint; anybody may have sent it, with any text."""
        self.board.ask()
        if channel == "access" and _USER.fullmatch(payload):
            user_id = int(payload)
            self.guard.suspect(lambda ticket: ticket.user_id == user_id)
        elif channel == "ledger" and (found := _HINT.fullmatch(payload)):
            topic = self.topics.get(int(found[1]))
            if topic is not None and topic.version != int(found[2]):
                topic.errand.ask()

    def _compared(self, asked: list[int], heads: Heads, began: float) -> None:
        """Read what has moved on; whoever has lost a ledger is found by their access."""
        for ledger_id in asked:
            topic, head = self.topics.get(ledger_id), heads.get(ledger_id)
            if topic is None or topic.version is None or head is None:
                continue
            if head == (topic.epoch, topic.version):
                topic.confirmed_at = began
            else:
                topic.errand.ask()
        self.guard.suspect(lambda _: True)
        self.board.ask()

    async def _refresh(self, topic: Topic) -> None:
        """Read what happened since the version that was told last, and tell it."""
        since, epoch = topic.version, topic.epoch
        if since is None:  # its first stream has not begun yet
            topic.hinted = True
            return
        began = asyncio.get_running_loop().time()
        stand = await read_stand(self.listener.fetch, topic.ledger_id, since=since)
        if (topic.version, topic.epoch) != (since, epoch):  # a stream began further back
            topic.errand.ask()
            return
        if stand is None:
            return
        topic.version, topic.epoch, topic.confirmed_at = stand.version, stand.epoch, began
        if (stand.version, stand.epoch) == (since, epoch):
            return
        news = stand.news(epoch)
        for mailbox in topic.mailboxes:
            mailbox.put(news)
        self._look_at_people(topic.ledger_id, news)

    def _look_at_people(self, ledger_id: int, news: News) -> None:
        """Check those streams whose member or token has changed; all, where it is not told whose."""
        named: dict[str, set[int]] = {"members": set(), "tokens": set()}
        everybody = news.kind is Kind.RESYNC
        for change in news.changes:
            if change.table in named:
                everybody = everybody or change.ids is None
                named[change.table].update(change.ids or ())
        if everybody:
            self.guard.suspect(lambda ticket: ticket.ledger_id == ledger_id)
        elif any(named.values()):
            self.guard.suspect(
                lambda ticket: (
                    ticket.ledger_id == ledger_id
                    and (ticket.user_id in named["members"] or ticket.token_id in named["tokens"])
                )
            )

    def stop(self) -> None:
        """End all streams, and those that are still to come, because the process ends."""
        self.stopping = True
        for stream in self.guard.streams:
            stream.end("shutdown")

    async def close(self) -> None:
        """Stop, and end what is being read."""
        self.stop()
        await self.guard.stop()
        await self.board.stop()
        for topic in list(self.topics.values()):
            await topic.errand.stop()


@asynccontextmanager
async def running_feed(
    database: Database, stopping: Callable[[], Awaitable[object]], *, tick: float = TICK
) -> AsyncIterator[Feed]:
    """Yield the feed of a process that serves; all streams end when `stopping` returns."""
    feed = Feed(database, tick=tick)

    async def stop() -> None:
        await stopping()
        feed.stop()

    tasks = [
        asyncio.create_task(feed.listener.run()),
        asyncio.create_task(run_clock(feed.guard.streams)),
        asyncio.create_task(stop()),
    ]
    try:
        yield feed
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await feed.close()
