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
from collections.abc import Awaitable, Callable
from typing import Any, cast

import uvloop

AT_ONCE = 16
"""Streams that are being opened at the same moment."""

PATIENCE = 30
"""Seconds that a stream may take to say where it stands."""

BROWSER = """Host: 127.0.0.1\r
Accept: text/event-stream\r
Accept-Encoding: gzip, deflate, br, zstd\r
Accept-Language: en-GB,en;q=0.9\r
Cache-Control: no-cache\r
Connection: keep-alive\r
Referer: http://127.0.0.1/ledgers/1/transactions?asset=ETH&type=send\r
Sec-Fetch-Dest: empty\r
Sec-Fetch-Mode: cors\r
Sec-Fetch-Site: same-origin\r
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36\r
"""
"""What a browser sends besides: a server keeps it as long as the stream is open."""

_EVENT = re.compile(rb"event: (\w+)\n(?:id: (\d+)\n)?data: [^\n]*\n\n")


class Stream(asyncio.Protocol):
    """One open stream, read as it comes: `heard` is told the version and size of every change."""

    def __init__(self, path: str, cookie: str, heard: Callable[[int, int], None]) -> None:
        self._request = f"GET {path} HTTP/1.1\r\nCookie: freshledger={cookie}\r\n{BROWSER}\r\n"
        self._heard = heard
        self._rest = b""
        self.stands = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the stream."""
        cast("asyncio.Transport", transport).write(self._request.encode())

    def data_received(self, data: bytes) -> None:
        """Look at the events that are whole by now."""
        self._rest += data
        end = 0
        for found in _EVENT.finditer(self._rest):
            end = found.end()
            if found[1] == b"change":
                self._heard(int(found[2]), len(found[0]))
            elif found[1] == b"ready":
                self.stands.set_result(None)
        self._rest = self._rest[end:]

    def connection_lost(self, _error: Exception | None) -> None:
        """Fail: nobody ends a stream while it is measured."""
        sys.exit(f"a stream was ended: {self._rest[:500].decode()}")


class Watcher:
    """All streams of one server, and when the last of them has brought an event."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams = 0
        self._times: list[float] = []
        self._events: set[tuple[int, int]] = set()

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
        async with gate, asyncio.timeout(PATIENCE):
            await opened(self._port, Stream(path, cookie, self._heard))

    def _heard(self, version: int, size: int) -> None:
        """Take the time of one stream's event."""
        self._times.append(time.monotonic())
        self._events.add((version, size))
        if len(self._times) == self._streams:
            say({"first": self._times[0], "last": self._times[-1], "events": sorted(self._events)})


async def opened(port: int, stream: Stream) -> None:
    """Open the stream; return when it has said that it is ready."""
    await asyncio.get_running_loop().create_connection(lambda: stream, "127.0.0.1", port)
    await stream.stands


def say(answer: dict[str, Any]) -> None:
    """Answer with one line."""
    print(json.dumps(answer), flush=True)


async def commands(obey: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
    """Obey one command after another until standard input ends."""
    reader = asyncio.StreamReader(limit=2**24)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async for line in reader:
        await obey(json.loads(line))


if __name__ == "__main__":
    uvloop.run(commands(Watcher(int(sys.argv[1])).obey))
