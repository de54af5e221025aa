"""Feeds of their own, for tests that plant faults in one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from streams import SELDOM

from freshledger.app import Freshledger
from freshledger.live.feed import Feed, running_feed

Feeding = Callable[..., AbstractAsyncContextManager[Feed]]


@pytest.fixture
def feeding(app: Freshledger) -> Feeding:
    """Give the application another feed for a while."""

    @asynccontextmanager
    async def feeding(*, tick: float = SELDOM) -> AsyncIterator[Feed]:
        usual = app.feed
        async with running_feed(app.database, asyncio.Event().wait, tick=tick) as feed:
            async with asyncio.timeout(5):
                await feed.listener.listening.wait()
            app.feed = feed
            try:
                yield feed
            finally:
                app.feed = usual

    return feeding
