"""A page that nobody reloads: it follows its stream, and fetches its body when it is behind."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

import aiohttp
import msgspec

from proof.clients import Client, settle
from proof.records import Change, Record, Shown, Told, now

TELLING = {"ready", "change", "resync"}
OFTEN = 5
"""Events after which a wanderer's stream ends."""

SETTLES = 15.0
"""Seconds in which a live page has to reach the last version: a beat is missed after 12."""


class Sent(msgspec.Struct):
    """The data of an event, as the protocol has it."""

    version: int
    since: int | None = None
    epoch: str | None = None
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Message:
    """One event of a stream as it arrived."""

    name: str
    data: str
    id: str | None
    arrived: int


class LivePage(Client):
    """What live.js does: the version it shows, the stream, and a fetch for every event beyond it."""

    shown: Shown | None = None
    last: tuple[str, int] | None = None
    streams = 0
    opening: tuple[int, int] | None = None
    """When the stream was asked for and since which version, until its first event is there."""

    async def load(self) -> None:
        """Load the page, which does not follow yet."""
        self.changed = asyncio.Condition()
        await self._fetch()

    async def follow(self) -> None:
        """Follow until cancelled; after the end of a stream, go on where it stopped."""
        while True:
            with suppress(aiohttp.ClientError, TimeoutError, ConnectionError):
                await self._stream()
            await asyncio.sleep(0)

    async def settled(self, version: int, seconds: float = SETTLES) -> Record:
        """Wait until the page shows `version`, and write down what it shows then."""
        begun = now()
        reached = await settle(lambda: self._version >= version, self.changed, seconds)
        what = f"live page, which {'reached' if reached else 'did not reach'} {version}"
        record = Record(
            self.recorder.process, self.name, "settled", begun, now(), what=what, shown=self.shown
        )
        return self.recorder.add(record)

    @property
    def _version(self) -> int:
        return self.shown.version if self.shown else 0

    async def _fetch(self) -> None:
        shown = await self.page(block=True)
        if shown and shown.version >= self._version:
            async with self.changed:
                self.shown = shown
                self.changed.notify_all()

    async def _stream(self) -> None:
        self.streams += 1
        headers = self._who() | {"Accept": "text/event-stream"}
        asked = {"since": str(self._version)}
        if self.last:
            asked["epoch"] = self.last[0]
            headers["Last-Event-ID"] = str(self.last[1])
        self.opening = (now(), self.last[1] if self.last else self._version)
        timeout = aiohttp.ClientTimeout(total=None, sock_read=12)
        async with (
            aiohttp.ClientSession(self.site.address, timeout=timeout) as http,
            http.get(self._where(), headers=headers, params=asked) as response,
        ):
            response.raise_for_status()
            async for message in messages(response.content):
                await self._heard(message)
                if self._leaves():
                    return

    def _who(self) -> dict[str, str]:
        return self.site.browser

    def _where(self) -> str:
        return f"{self.site.pages}/live"

    def _leaves(self) -> bool:
        return False

    async def _heard(self, message: Message) -> None:
        if message.name not in TELLING | {"beat"}:
            return
        sent = msgspec.json.decode(message.data, type=Sent)
        if message.name in TELLING:
            self.last = (sent.epoch or "", sent.version)
            self._note(message, sent)
        while self._version < sent.version:
            before = self._version
            await self._fetch()
            if self._version == before:
                return

    def _note(self, message: Message, sent: Sent) -> None:
        """Write an event down; the first of a stream began when the stream was asked for."""
        begun, asked = self.opening or (message.arrived, None)
        told = Told(
            message.name, self.streams, sent.version, sent.since, sent.changes,
            first=self.opening is not None, asked=asked,
        )  # fmt: skip
        self.opening = None
        self.recorder.add(
            Record(
                self.recorder.process, self.name, "event", begun, message.arrived,
                what=message.name, told=told,
            )
        )  # fmt: skip


class Wanderer(LivePage):
    """A page that follows with a program's token, and now and then loses its stream."""

    heard = 0

    def _who(self) -> dict[str, str]:
        return self.site.program

    def _where(self) -> str:
        return f"{self.site.api}/live"

    def _leaves(self) -> bool:
        self.heard += 1
        return self.heard % OFTEN == 0


async def messages(lines: aiohttp.StreamReader) -> AsyncIterator[Message]:
    """Read the events of a stream; comments and what has no data are no events."""
    name, data, identifier = "message", [], None
    async for raw in lines:
        line = raw.decode().rstrip("\r\n")
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield Message(name, "\n".join(data), identifier, now())
            name, data = "message", []
        elif field == "event":
            name = value
        elif field == "data":
            data.append(value)
        elif field == "id":
            identifier = value
