"""The one connection of a process that listens, and its heartbeat.

A connection may go deaf without any error: half open, or with its LISTEN undone. So the
statement that compares versions runs on the very connection that listens, every few seconds,
and says as well what it listens to. Whatever is wrong with it, it is given up for another.

What the feed reads it reads on it too, one statement at a time: then a notification is answered
after one round trip, however busy the pool is.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, Never
from uuid import UUID

import asyncpg

from freshledger.database import async_url

log = logging.getLogger(__name__)

CHANNELS = frozenset({"ledger", "access"})
ANSWER_SECONDS = 5
LONGEST_PAUSE = 5.0
"""Seconds between two tries to connect, at most."""

_COMPARE = """
SELECT ARRAY(SELECT pg_listening_channels()) AS channels, l.id, l.epoch, h.version
FROM (SELECT) one LEFT JOIN (ledgers l JOIN heads h ON h.ledger_id = l.id) ON l.id = ANY($1)
"""
_SETTINGS = {
    "application_name": "freshledger feed",
    "timezone": "UTC",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
"""All that is read on it is found by keys: planned once, by its indexes.

A plan that is kept was made for the tables as they were then, maybe all but empty.
"""
_FAILURES = (
    OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the server went away while it let us in
)  # fmt: skip

FAILED = (OSError, TimeoutError, asyncpg.InterfaceError, asyncio.CancelledError)
"""After these nobody knows what the connection is about: no answer, or one that nobody took."""

Heads = dict[int, tuple[UUID, int]]
"""The epoch and version of each ledger that is there."""


class Listener:
    """Tells `hear` every notification, and `compared` where the ledgers of `asked` stand.

    `hear` gets the channel and the payload, which anybody may have sent.
    """

    def __init__(
        self,
        url: str,
        *,
        hear: Callable[[str, str], None],
        asked: Callable[[], Iterable[int]],
        compared: Callable[[list[int], Heads, float], None],
        tick: float,
    ) -> None:
        self._url = url
        self._hear = hear
        self._asked = asked
        self._compared = compared
        self._tick = tick
        self.connection: asyncpg.Connection | None = None
        self.listening = asyncio.Event()
        self._ended = asyncio.Event()
        self._turn = asyncio.Lock()
        self._pause = 0.0

    async def fetch(self, statement: str, *values: object) -> list[asyncpg.Record]:
        """Run a statement on it, as soon as it listens; neither lasts longer than ANSWER_SECONDS.

        Raises OSError, TimeoutError, asyncpg.PostgresError or InterfaceError.
        """
        if not self.listening.is_set():
            async with asyncio.timeout(ANSWER_SECONDS):
                await self.listening.wait()
        async with self._turn:
            if self.connection is None or self._ended.is_set():
                raise ConnectionError("its connection was closed")
            try:
                rows: list[asyncpg.Record] = await self.connection.fetch(statement, *values)
            except FAILED:
                self._ended.set()
                raise
        return rows

    async def run(self) -> Never:
        """Listen until cancelled; a connection that fails is replaced by another."""
        while True:
            try:
                async with self._connection():
                    await self._stay()
            except _FAILURES as error:
                log.warning("the feed listens anew: %s", str(error) or type(error).__name__)
            except Exception:  # without it nobody would be told anything any more
                log.exception("the feed listens anew after an error of its own")
            await asyncio.sleep(random.uniform(0, self._pause))  # noqa: S311 - jitter
            self._pause = min(max(0.1, self._pause * 2), LONGEST_PAUSE)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[None]:
        url = async_url(self._url)
        _, options = url.get_dialect()().create_connect_args(url)
        own = {"timeout": 10, "command_timeout": ANSWER_SECONDS, "server_settings": _SETTINGS}
        connection = await asyncpg.connect(**{**options, **own})
        try:
            self._ended.clear()
            connection.add_termination_listener(lambda _: self._ended.set())
            for channel in sorted(CHANNELS):
                await connection.add_listener(channel, self._notified)
            self.connection = connection
            self.listening.set()
            yield
        finally:
            self.connection = None
            self.listening.clear()
            connection.terminate()

    def _notified(self, _connection: Any, _pid: int, channel: str, payload: str) -> None:  # noqa: ANN401 - asyncpg's
        self._hear(channel, payload)

    async def _stay(self) -> Never:
        """Compare versions at once and then at every tick; raises when the connection fails."""
        while True:
            began = asyncio.get_running_loop().time()
            asked = list(self._asked())
            rows = await self.fetch(_COMPARE, asked)
            if not CHANNELS.issubset(rows[0]["channels"]):
                raise ConnectionError("it is connected, but does not listen any more")
            heads = {row["id"]: (row["epoch"], row["version"]) for row in rows if row["id"]}
            self._pause = 0.0
            self._compared(asked, heads, began)
            try:
                async with asyncio.timeout(self._tick):
                    await self._ended.wait()
            except TimeoutError:
                continue
            raise ConnectionError("its connection was closed")
