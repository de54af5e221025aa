"""Reads a stream as a client does: over the application's own door, event by event."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from quart.testing import QuartClient

SECONDS = 5
"""How long an event may take that must come."""
SELDOM = 3600.0
"""A tick that does not come: what is found is found without a comparison."""
OFTEN = 0.2


@dataclass(frozen=True)
class Event:
    name: str
    id: int | None
    data: dict[str, Any]

    @property
    def versions(self) -> list[int]:
        """Which versions the event covers."""
        return list(range(self.data["since"] + 1, self.data["version"] + 1))

    @property
    def tables(self) -> set[str]:
        return {change["table"] for change in self.data["changes"]}


def parse(block: bytes) -> Event | None:
    """One event; None for what only says when to come again."""
    fields = dict(line.split(": ", 1) for line in block.decode().splitlines())
    if "event" not in fields:
        assert 1000 <= int(fields["retry"]) <= 5000
        return None
    number = int(fields["id"]) if "id" in fields else None
    return Event(fields["event"], number, json.loads(fields["data"]))


@dataclass
class Client:
    """One open stream."""

    connection: Any
    buffer: bytes = b""
    beats: list[Event] = field(default_factory=list)

    async def block(self) -> bytes:
        while b"\n\n" not in self.buffer:
            self.buffer += await self.connection.receive()
        block, _, self.buffer = self.buffer.partition(b"\n\n")
        return block

    async def next(self, *, seconds: float | None = None) -> Event:
        """The next event that is no beat."""
        async with asyncio.timeout(seconds or SECONDS):
            while True:
                event = parse(await self.block())
                if event is not None and event.name != "beat":
                    return event
                if event is not None:
                    self.beats.append(event)

    async def until(self, version: int) -> list[Event]:
        """All events up to the one that tells of that version."""
        events = [await self.next()]
        while events[-1].data["version"] < version:
            events.append(await self.next())
        return events

    async def ends(self, reason: str, *, seconds: float = 1) -> None:
        """It says why, and ends."""
        event = await self.next(seconds=seconds)
        assert (event.name, event.data) == ("closed", {"reason": reason})
        async with asyncio.timeout(1):
            assert await self.connection.receive() == b""


@asynccontextmanager
async def stream(client: QuartClient, path: str, **options) -> AsyncIterator[Client]:
    """A stream that is open; at the end its client goes away."""
    connection = client.request(path, method="GET", **options)
    task = asyncio.ensure_future(
        connection.app(connection.scope, connection._asgi_receive, connection._asgi_send)
    )
    await connection.send_complete()
    try:
        yield Client(connection)
    finally:
        await connection.disconnect()
        await task


def chained(events: list[Event]) -> bool:
    """Whether each event begins where the one before it ended."""
    return all(
        later.data["since"] == earlier.data["version"] for earlier, later in pairwise(events)
    )
