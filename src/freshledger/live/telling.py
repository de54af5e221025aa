"""What one stream says, from its first event to its last, as the bytes that are sent."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TypeVar
from uuid import UUID

from freshledger.live import events
from freshledger.live.access import Stream, Ticket
from freshledger.live.errands import AWAY
from freshledger.live.feed import Feed

log = logging.getLogger(__name__)

BEAT_SECONDS = 5.0
AGAIN_SECONDS = 1.0
"""How long a stream waits for a database that is away before it tries or looks again."""

T = TypeVar("T")


async def ledger_events(
    feed: Feed, ticket: Ticket, *, ledger_id: int, since: int | None, epoch: UUID | None
) -> AsyncGenerator[bytes, None]:
    """Say where the reader of `since` (of `epoch`) stands, then all that happens to the ledger.

    A `since` below 0 is one that nobody gave: the reader has to read everything anew.
    """
    with feed.watching(ticket) as stream, feed.subscribed(ledger_id, stream) as (topic, mailbox):
        stand = await _insist(stream, lambda: feed.begin(stream, topic, mailbox, since))
        if stand is not None and stream.ended is None:
            yield stand.news(epoch).text
        while stream.ended is None:
            stream.wake.clear()
            if (news := mailbox.take()) is not None:
                yield news.text
            elif await _silence(stream):
                behind = mailbox.version is None or mailbox.version < (topic.version or 0)
                if not behind and feed.is_true(topic.confirmed_at):
                    yield events.beat(mailbox.version or 0)
                else:
                    await _pause(stream)
        yield events.closed(stream.ended)


async def account_events(feed: Feed, ticket: Ticket) -> AsyncGenerator[bytes, None]:
    """Say when something changes that the viewer's pages outside of any ledger show."""
    with feed.watching(ticket) as stream:
        await _insist(stream, lambda: feed.begin_board(stream))
        if stream.ended is None:
            yield events.told("ready")
        while stream.ended is None:
            stream.wake.clear()
            if stream.changed:
                stream.changed = False
                yield events.told("change")
            elif await _silence(stream):
                if feed.is_true(feed.board.confirmed_at):
                    yield events.told("beat")
                else:
                    await _pause(stream)
        yield events.closed(stream.ended)


async def _insist(stream: Stream, begin: Callable[[], Awaitable[T]]) -> T | None:
    """Begin, as soon as the database is there; None where the stream ended before."""
    while stream.ended is None:
        try:
            return await begin()
        except AWAY as error:
            log.warning("a stream waits for the database: %s", str(error) or type(error).__name__)
            await _pause(stream)
    return None


async def _pause(stream: Stream) -> None:
    """Wait a moment, or until something happens to the stream."""
    try:
        async with asyncio.timeout(AGAIN_SECONDS):
            await stream.wake.wait()
    except TimeoutError:
        return


async def _silence(stream: Stream) -> bool:
    """Wait until there is something to do; tell whether there was nothing for a beat's time.

    A stream ends by itself when its session expires.
    """
    loop = asyncio.get_running_loop()
    beat_at = loop.time() + BEAT_SECONDS
    expires_at = stream.expires_at
    try:
        async with asyncio.timeout_at(min(beat_at, expires_at or beat_at)):
            await stream.wake.wait()
    except TimeoutError:
        if expires_at is not None and loop.time() >= expires_at:
            stream.end("access")
            return False
        return True
    return False
