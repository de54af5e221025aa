"""Feeds of their own, for tests that plant faults in one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from freshledger.app import Freshledger
from freshledger.live.feed import Feed, running_feed

SELDOM = 3600.0
"""A tick that does not come: what is found is found without a comparison."""
OFTEN = 0.2

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
