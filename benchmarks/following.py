"""Open pages that follow their ledger, in a process of their own: python -m benchmarks.following PORT.

A page is what follow.js is without the screen: it holds a stream, and when that tells of a newer
version it fetches its own address, the body alone, with the tag of what it has. It has never two
fetches at once, and fetches again where the answer is older than what it has heard of meanwhile;
where the server is busy it comes again when it was told to.
Pages share a browser's connections, TABS of them six: a stream each, and the rest for fetching.

Commands come on standard input, one JSON object a line, and are answered on standard output:

    {"pages": [[address, cookie], …]}  take so many pages
    {"fetch": true}                    fetch all at once, with nothing in hand
    {"follow": path}                   open the stream of each
    {"listen": [version, text]}        from now on wait until every page shows that version;
                                       answered at once, and again when the last one does
"""

import asyncio
import itertools
import random
import sys
import time
from dataclasses import dataclass
from typing import Any

import uvloop

from benchmarks.watcher import BROWSER, PATIENCE, Stream, commands, opened, say

TABS = 4
CONNECTIONS = 6
BUSY = 503


@dataclass(frozen=True, slots=True)
class Answer:
    """What a fetch brought: a page, 304, or that the server is busy for `after` seconds."""

    status: int
    version: int
    tag: str | None
    body: bytes
    after: float


class Connection:
    """One connection that stays open, for one fetch after another."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ends: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, address: str, cookie: str, tag: str | None) -> Answer:
        """Fetch the body of a page."""
        if self._ends is None:
            self._ends = await asyncio.open_connection("127.0.0.1", self._port, limit=2**20)
        reader, writer = self._ends
        lines = [f"GET {address} HTTP/1.1", f"Cookie: freshledger={cookie}", "HX-Request: true",
                 "HX-Target: frame", *([f"If-None-Match: {tag}"] if tag else [])]  # fmt: skip
        given = "\r\n".join(lines) + "\r\n" + BROWSER.replace("text/event-stream", "text/html")
        writer.write(given.encode() + b"\r\n")
        first, *rest = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in rest)
        }
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        status = int(first.split()[1])
        if status not in (200, 304, BUSY):
            sys.exit(f"{address} was answered {first}")
        after, version = headers.get("retry-after", 0), headers.get("ledger-version", -1)
        return Answer(status, int(version), headers.get("etag"), body, float(after))


class Page:
    """One open page; `shows` is the version of what it has, `wants` that of which it has heard."""

    def __init__(self, watch: "Watch", address: str, cookie: str, idle: asyncio.Queue) -> None:
        self._watch = watch
        self._address = address
        self.cookie = cookie
        self._idle: asyncio.Queue[Connection] = idle
        self.shows = self.wants = -1
        self.body, self.refused = b"", 0
        self._tag: str | None = None
        self._running: asyncio.Task[None] | None = None

    async def fetch(self) -> None:
        """Fetch it as soon as one of the browser's connections is free."""
        while True:
            connection = await self._idle.get()
            answer = await connection.get(self._address, self.cookie, self._tag)
            self._idle.put_nowait(connection)
            if answer.status != BUSY:
                break
            self.refused += 1
            await asyncio.sleep(answer.after * random.uniform(0.5, 1.5))
        self._tag, self.shows = answer.tag, answer.version
        if answer.status == 200:  # noqa: PLR2004 - not 304
            self.body = answer.body

    async def fetch_anew(self) -> None:
        """Fetch it with nothing in hand."""
        self._tag = None
        await self.fetch()

    def hear(self, version: int, _size: int) -> None:
        """Catch up, as follow.js does."""
        self.wants = max(self.wants, version)
        if self._running is None and self.shows < self.wants:
            self._running = asyncio.create_task(self._run())

    async def _run(self) -> None:
        for tries in itertools.count(1):
            await self.fetch()
            if self.shows >= self.wants:
                break
            await asyncio.sleep(tries * tries * 0.01)
        self._running = None
        self._watch.caught_up(self)


class Watch:
    """All pages of one server, and when the last of them shows a version."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._pages: list[Page] = []
        self._wanted, self._text = 0, b""
        self._behind = self._with_text = 0

    def caught_up(self, page: Page) -> None:
        """Say when the last page shows what it should."""
        if page.shows < self._wanted:
            return
        self._behind -= 1
        self._with_text += self._text in page.body
        if not self._behind:
            say({"last": time.monotonic(), "with_text": self._with_text})

    async def obey(self, command: dict[str, Any]) -> None:
        """Do what was asked, and say that it is done."""
        began = time.monotonic()
        if "pages" in command:
            self._take(command["pages"])
        elif "fetch" in command:
            await asyncio.gather(*(page.fetch_anew() for page in self._pages))
        elif "follow" in command:
            path = command["follow"]
            gate = asyncio.Semaphore(16)
            await asyncio.gather(*(self._follow(gate, path, page) for page in self._pages))
        else:
            self._wanted, self._text = command["listen"][0], command["listen"][1].encode()
            self._behind, self._with_text = len(self._pages), 0
        refused = sum(page.refused for page in self._pages)
        say({"seconds": time.monotonic() - began, "refused": refused})

    def _take(self, pages: list[tuple[str, str]]) -> None:
        for number, (address, cookie) in enumerate(pages):
            if number % TABS == 0:
                idle: asyncio.Queue[Connection] = asyncio.Queue()
                for _ in range(CONNECTIONS - TABS):
                    idle.put_nowait(Connection(self._port))
            self._pages.append(Page(self, address, cookie, idle))

    async def _follow(self, gate: asyncio.Semaphore, path: str, page: Page) -> None:
        async with gate, asyncio.timeout(PATIENCE):
            await opened(self._port, Stream(path, page.cookie, page.hear))


if __name__ == "__main__":
    uvloop.run(commands(Watch(int(sys.argv[1])).obey))
