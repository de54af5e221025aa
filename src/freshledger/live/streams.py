"""An open stream, and the one clock that tells all streams of a process what time it is.

A process has a thousand streams, so each is one task that sleeps: no timer, no queue, and
nothing of the request that opened it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Never

BEAT_SECONDS = 5.0
"""A stream says every so often that its reader is up to date."""

WRITE_SECONDS = 10.0
"""How long one event may take to be written; a client that has stopped is given up then."""

CLOCK_SECONDS = 0.1
"""How late a stream may learn that its time has come."""

LEFT = "left"
"""Why a stream ends whose client has gone away, or takes nothing any more."""

Send = Callable[[bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Ticket:
    """Who watches: the hash of their session's secret, or the id of their token."""

    user_id: int
    ledger_id: int | None = None
    session_hash: bytes | None = None
    token_id: int | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What a stream's right to go on rests on; `password` is a hash of the stored one."""

    user_id: int
    role: str | None
    scope: str | None
    is_admin: bool
    password: bytes


class Stream:
    """One open stream; `ended` says why it ends, `changed` and `mark` are the board's.

    Times are those of the event loop.
    """

    __slots__ = (
        "_beats", "_patience", "_send", "_waiting", "_woken", "_write_until", "beat_at",
        "changed", "ended", "expires_at", "mark", "standing", "ticket",
    )  # fmt: skip

    def __init__(self, ticket: Ticket, send: Send) -> None:
        self.ticket = ticket
        self.standing: Standing | None = None
        self.expires_at: float | None = None
        self.ended: str | None = None
        self.changed = False
        self.mark: int | None = None
        self.beat_at = asyncio.get_running_loop().time() + BEAT_SECONDS
        self._beats = False
        self._send = send
        self._woken = False
        self._waiting: asyncio.Future[None] | None = None
        self._write_until: float | None = None
        self._patience = asyncio.timeout(None)

    async def run(self, telling: Awaitable[None]) -> None:
        """Run what tells the stream; `ended` is LEFT where nobody took all of it."""
        try:
            async with self._patience:
                await telling
        except TimeoutError:
            if not self._patience.expired():
                raise
            self.ended = LEFT

    async def say(self, text: bytes) -> None:
        """Send it; a client that does not take it within WRITE_SECONDS is given up."""
        self._write_until = asyncio.get_running_loop().time() + WRITE_SECONDS
        await self._send(text)
        self._write_until = None

    async def wait(self) -> None:
        """Return when it has been woken since this was called last."""
        if not self._woken:
            self._waiting = asyncio.get_running_loop().create_future()
            try:
                await self._waiting
            finally:
                self._waiting = None
        self._woken = False

    def wake(self) -> None:
        """Tell it that there is something to do."""
        self._woken = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def end(self, reason: str) -> None:
        """Let it end: access, shutdown or LEFT."""
        self.ended = self.ended or reason
        self.wake()

    def beats(self) -> bool:
        """Return whether it is time to beat; it is said once."""
        beats, self._beats = self._beats, False
        return beats

    def look_at(self, now: float) -> None:
        """Do what has become due: beat, end, or be given up."""
        if now >= self.beat_at:
            self.beat_at = now + BEAT_SECONDS
            self._beats = True
            self.wake()
        if self.expires_at is not None and now >= self.expires_at:
            self.end("access")
        if self._write_until is not None and now >= self._write_until:
            self._write_until = None
            self._patience.reschedule(now)


async def run_clock(streams: Collection[Stream]) -> Never:
    """Let each of the streams, which come and go, know the time until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(CLOCK_SECONDS)
        now = loop.time()
        for stream in tuple(streams):
            stream.look_at(now)
