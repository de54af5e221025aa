"""What one stream says, from its first event to its last."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID

from freshledger.live import events
from freshledger.live.errands import AWAY
from freshledger.live.feed import Feed
from freshledger.live.streams import LEFT, Stream

log = logging.getLogger(__name__)

AGAIN_SECONDS = 1.0
"""How long a stream waits for a database that is away before it tries or looks again."""

T = TypeVar("T")


async def tell_ledger(
    feed: Feed, stream: Stream, *, ledger_id: int, since: int | None, epoch: UUID | None
) -> None:
    """Say where the reader of `since` (of `epoch`) stands, then all that happens to the ledger.

    A `since` below 0 is one that nobody gave: the reader has to read everything anew.
    """
    with feed.watching(stream), feed.subscribed(ledger_id, stream) as (topic, mailbox):
        await _begin(stream)
        stand = await _insist(stream, lambda: feed.begin(stream, topic, mailbox, since))
        if stand is not None and stream.ended is None:
            await stream.say(stand.news(epoch).text)
        while stream.ended is None:
            if (news := mailbox.take()) is not None:
                await stream.say(news.text)
            elif stream.beats():
                behind = mailbox.version is None or mailbox.version < (topic.version or 0)
                if not behind and feed.is_true(topic.confirmed_at):
                    await stream.say(events.beat(mailbox.version or 0))
                else:
                    _beat_soon(stream)
            else:
                await stream.wait()
        await _end(stream)


async def tell_account(feed: Feed, stream: Stream) -> None:
    """Say when something changes that the viewer's pages outside of any ledger show."""
    with feed.watching(stream):
        await _begin(stream)
        await _insist(stream, lambda: feed.begin_board(stream))
        if stream.ended is None:
            await stream.say(events.told("ready"))
        while stream.ended is None:
            if stream.changed:
                stream.changed = False
                await stream.say(events.told("change"))
            elif stream.beats():
                if feed.is_true(feed.board.confirmed_at):
                    await stream.say(events.told("beat"))
                else:
                    _beat_soon(stream)
            else:
                await stream.wait()
        await _end(stream)


async def _begin(stream: Stream) -> None:
    """Say first when to come again: not all at the same moment."""
    await stream.say(events.retry(random.randint(1000, 5000)))  # noqa: S311 - jitter


async def _end(stream: Stream) -> None:
    """Say why it ends, if anybody is there."""
    if stream.ended is not None and stream.ended != LEFT:
        await stream.say(events.closed(stream.ended))


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
            await stream.wait()
    except TimeoutError:
        return


def _beat_soon(stream: Stream) -> None:
    """Look again in a moment: what it would say is not known to be true now."""
    stream.beat_at = asyncio.get_running_loop().time() + AGAIN_SECONDS
