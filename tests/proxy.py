"""A proxy between the application and PostgreSQL that can lose what passes at COMMIT.

    async with proxied(url) as proxy:        connect to proxy.url
        proxy.at_commit(Fault.LOSE_REPLY)    each next COMMIT meets the next of these, then none
        proxy.shut() / proxy.open()          the server is away: nobody is connected or let in
        proxy.cut()                          all connections break now

A fault concerns the connection of its COMMIT alone, unless it says otherwise.
"""

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum

from sqlalchemy import make_url


class Fault(Enum):
    """What becomes of a COMMIT."""

    PASS = "it passes, and so does its reply"
    LOSE_REPLY = "the server does it; its reply is lost, and so is the connection"
    LOSE_COMMIT = "it never reaches the server; the connection is lost"
    RESET_REPLY = "as LOSE_REPLY, by a reset (RST)"
    RESET_COMMIT = "as LOSE_COMMIT, by a reset (RST)"
    LATE = "the client loses its connection; the server gets it when `let_go` is called"
    SILENT_REPLY = "the server does it; nothing passes any more, and nobody is told"
    SILENT_COMMIT = "it never reaches the server; nothing passes any more, and nobody is told"
    AWAY_REPLY = "as LOSE_REPLY, and the server cannot be reached until `open` is called"
    AWAY_COMMIT = "as LOSE_COMMIT, and the server cannot be reached until `open` is called"


_RESETS = {Fault.RESET_REPLY, Fault.RESET_COMMIT}
_AWAY = {Fault.AWAY_REPLY, Fault.AWAY_COMMIT}
_DONE = {Fault.LOSE_REPLY, Fault.RESET_REPLY, Fault.SILENT_REPLY, Fault.AWAY_REPLY}
_SILENT = {Fault.SILENT_REPLY, Fault.SILENT_COMMIT}
_SSL, _CANCEL = 80877103, 80877102


class Proxy:
    """Carries connections to the server of a URL; `url` is its own."""

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        self._folder = parsed.query.get("host")
        self._target = (parsed.host or "localhost", parsed.port or 5432)
        self._port = parsed.port or 5432
        self._parsed = parsed
        self._faults: deque[Fault] = deque()
        self._links: set[_Link] = set()
        self._serving: set[asyncio.Task] = set()
        self._away = False
        self._go = asyncio.Event()
        self.commits = 0
        self.url = ""
        self.met = asyncio.Event()

    def at_commit(self, *faults: Fault) -> None:
        """Let each next COMMIT of any connection meet the next of these."""
        self._faults.extend(faults)
        self.met.clear()
        self._go.clear()

    async def let_go(self) -> None:
        """Hand late COMMITs to the server; return when it has done them."""
        self._go.set()
        for link in [*self._links]:
            await link.late_is_done()

    def shut(self) -> None:
        """Break all connections and refuse new ones."""
        self._away = True
        self.cut()

    def open(self) -> None:
        """Let connections in again."""
        self._away = False

    def cut(self) -> None:
        """Break all connections."""
        for link in [*self._links]:
            link.lose()

    async def start(self) -> asyncio.Server:
        """Listen on a free port of this computer."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        own = self._parsed.set(host="127.0.0.1", port=port, query={})
        self.url = own.render_as_string(hide_password=False)
        return server

    async def stop(self) -> None:
        """End all connections and what carries them."""
        self.shut()
        await asyncio.gather(*self._serving)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        try:
            server = await self._connect()
        except OSError:
            writer.transport.abort()
            return
        link = _Link(self, (reader, writer), server)
        self._links.add(link)
        try:
            if not self._away:
                await link.carry()
        finally:
            self._links.discard(link)
            link.lose()

    async def _connect(self) -> "Streams":
        if self._away:
            raise ConnectionRefusedError
        if self._folder:
            return await asyncio.open_unix_connection(f"{self._folder}/.s.PGSQL.{self._port}")
        return await asyncio.open_connection(*self._target)

    def next_fault(self) -> Fault:
        """Return what the COMMIT that has just come meets."""
        self.commits += 1
        fault = self._faults.popleft() if self._faults else Fault.PASS
        if fault in _AWAY:
            self._away = True
        if fault is not Fault.PASS:
            self.met.set()
        return fault

    async def late(self) -> None:
        """Wait until late COMMITs may go on."""
        await self._go.wait()


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Link:
    """One connection: what the client sends is read message by message, the rest passes."""

    def __init__(self, proxy: Proxy, client: Streams, server: Streams) -> None:
        self._proxy = proxy
        self._from_client, self._to_client = client
        self._from_server, self._to_server = server
        self._fault = Fault.PASS
        self._over = asyncio.Event()

    async def carry(self) -> None:
        """Carry messages until one side ends, or a fault does."""
        both = [asyncio.create_task(self._up()), asyncio.create_task(self._down())]
        over = asyncio.create_task(self._over.wait())
        try:
            await asyncio.wait([*both, over], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*both, over):
                task.cancel()
            await asyncio.gather(*both, over, return_exceptions=True)

    def lose(self, *, reset: bool = False) -> None:
        """Break both sides."""
        self._leave_client(reset=reset)
        self._to_server.close()
        self._over.set()

    async def late_is_done(self) -> None:
        """Return when a late COMMIT has been answered; at once where there is none."""
        if self._fault is Fault.LATE:
            await self._over.wait()

    def _leave_client(self, *, reset: bool = False) -> None:
        connected = self._to_client.get_extra_info("socket")
        if reset and connected is not None and not self._to_client.is_closing():
            linger = struct.pack("ii", 1, 0)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self._to_client.transport.abort()
        self._to_client.close()

    async def _up(self) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await self._greet()
            while True:
                kind = await self._from_client.readexactly(1)
                message = await self._message()
                if kind == b"Q" and message[4:].upper().startswith(b"COMMIT"):
                    await self._commit(kind + message)
                else:
                    await self._send(kind + message)

    async def _greet(self) -> None:
        """Pass the start-up, which has no kind; a wish for TLS comes before it."""
        code = _SSL
        while code == _SSL:
            message = await self._message()
            code = struct.unpack("!I", message[4:8])[0]
            await self._send(message)
        if code == _CANCEL:
            self._to_server.write_eof()

    async def _message(self) -> bytes:
        length = await self._from_client.readexactly(4)
        return length + await self._from_client.readexactly(struct.unpack("!I", length)[0] - 4)

    async def _send(self, message: bytes) -> None:
        self._to_server.write(message)
        await self._to_server.drain()

    async def _commit(self, message: bytes) -> None:
        self._fault = fault = self._proxy.next_fault()
        if fault is Fault.PASS or fault in _DONE:
            await self._send(message)
        elif fault is Fault.LATE:
            self._leave_client()
            await self._proxy.late()
            await self._send(message)
            await self._over.wait()
        elif fault in _SILENT:
            await self._over.wait()
        else:
            self._end(fault)

    async def _down(self) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await self._from_server.read(65536):
                if self._fault in _DONE:
                    await self._swallow()
                    return
                if self._fault is Fault.LATE:
                    self._over.set()
                    return
                self._to_client.write(data)
                await self._to_client.drain()

    async def _swallow(self) -> None:
        """The server has answered a COMMIT whose reply is to be lost."""
        if self._fault in _SILENT:
            await self._over.wait()
        self._end(self._fault)

    def _end(self, fault: Fault) -> None:
        self.lose(reset=fault in _RESETS)
        if fault in _AWAY:
            self._proxy.shut()


@asynccontextmanager
async def proxied(url: str) -> AsyncIterator[Proxy]:
    """Yield a proxy to the server of `url`; what is left of its connections ends with it."""
    proxy = Proxy(url)
    server = await proxy.start()
    try:
        yield proxy
    finally:
        server.close()
        await proxy.stop()
        await server.wait_closed()
