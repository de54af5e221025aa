"""The clients of a benchmark's streams, in a process of their own: python -m benchmarks.watcher PORT.

Commands come on standard input, one JSON object a line, and are answered on standard output:

    {"open": [[path, cookie], …]}  open streams, and say when each has said where it stands
    {"listen": true}               from now on wait until every stream has brought one event;
                                   answered at once, and again when the last one has come
"""

import asyncio
import json
import re
import sys
import time
from typing import Any, cast

import uvloop

AT_ONCE = 16
"""Streams that are being opened at the same moment."""

PATIENCE = 30
"""Seconds that a stream may take to say where it stands."""

_EVENT = re.compile(rb"event: (\w+)\n(?:id: (\d+)\n)?data: [^\n]*\n\n")


class Stream(asyncio.Protocol):
    """One open stream, read as it comes: only whole events are looked at."""

    def __init__(self, watcher: "Watcher", request: bytes) -> None:
        self._watcher = watcher
        self._request = request
        self.rest = b""
        self.stands = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the stream."""
        cast("asyncio.Transport", transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        """Look at the events that are whole by now."""
        self.rest += data
        end = 0
        for found in _EVENT.finditer(self.rest):
            end = found.end()
            if found[1] == b"change":
                self._watcher.arrived(int(found[2]), len(found[0]))
            elif found[1] == b"ready":
                self.stands.set_result(None)
        self.rest = self.rest[end:]

    def connection_lost(self, _error: Exception | None) -> None:
        """Nobody ends a stream while it is measured."""
        sys.exit(f"a stream was ended: {self.rest[:500].decode()}")


class Watcher:
    """All streams of one server, and when the last of them has brought an event."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams = 0
        self._times: list[float] = []
        self._events: set[tuple[int, int]] = set()

    def arrived(self, version: int, size: int) -> None:
        """Take the time of one stream's event."""
        self._times.append(time.monotonic())
        self._events.add((version, size))
        if len(self._times) == self._streams:
            say({"first": self._times[0], "last": self._times[-1], "events": sorted(self._events)})

    async def obey(self, command: dict[str, Any]) -> None:
        """Do what was asked, and say that it is done."""
        if "open" in command:
            gate = asyncio.Semaphore(AT_ONCE)
            asked = command["open"]
            await asyncio.gather(*(self._open(gate, path, cookie) for path, cookie in asked))
            self._streams += len(asked)
        self._times, self._events = [], set()
        say({"streams": self._streams})

    async def _open(self, gate: asyncio.Semaphore, path: str, cookie: str) -> None:
        asked = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: freshledger={cookie}\r\n\r\n"
        loop = asyncio.get_running_loop()
        async with gate:
            _, stream = await loop.create_connection(
                lambda: Stream(self, asked.encode()), "127.0.0.1", self._port
            )
            try:
                async with asyncio.timeout(PATIENCE):
                    await stream.stands
            except TimeoutError:
                sys.exit(f"a stream did not say where it stands: {stream.rest[:2000].decode()}")


def say(answer: dict[str, Any]) -> None:
    """Answer with one line."""
    print(json.dumps(answer), flush=True)


async def main() -> None:
    """Obey until standard input ends."""
    watcher = Watcher(int(sys.argv[1]))
    reader = asyncio.StreamReader(limit=2**24)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async for line in reader:
        await watcher.obey(json.loads(line))


if __name__ == "__main__":
    uvloop.run(main())
