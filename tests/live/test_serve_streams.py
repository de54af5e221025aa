"""`freshledger serve` with open streams: it ends at once, whatever their clients do."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from urllib.parse import urlsplit

import asyncpg
import pytest

from books import Books, make_books
from cli.conftest import SECONDS, serving

STREAMS = 50
LAST = b'event: closed\ndata: {"reason":"shutdown"}\n\n\r\n0\r\n\r\n'
"""What a stream says last, and the end of its body."""
FILLER = """
import socket, sys
host, port, request = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode()
client = socket.socket()
client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
client.connect((host, port))
client.sendall(request)
received = b""
while b"event: " not in received:
    received += client.recv(100)
print("open", flush=True)
while client.recv(100):
    pass
"""
"""A client in a process of its own, which can be stopped; it takes little at once."""


@pytest.fixture
async def own_books(own_database) -> Books:
    connection = await asyncpg.connect(own_database)
    books = await make_books(connection)
    await connection.close()
    return books


FILL = """
DO $$ BEGIN
  FOR n IN 1..2000 LOOP
    INSERT INTO changes (ledger_id, tx, actor, table_name, operation, count, ids)
    SELECT {0}, touch({0}), 'x', 'labels', 'U', 100, array_agg(1000000000000000000 + i)
    FROM generate_series(1, 100) i;
    COMMIT;
  END LOOP;
END $$
"""
"""Versions whose events are 2 kB each: more than the buffers of a connection take."""


async def fill(url: str, books: Books) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(FILL.format(books.ledger_id))
    await connection.close()


def asking(books: Books) -> bytes:
    return (
        f"GET {books.path}/live HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Cookie: freshledger={books.session_token}\r\n\r\n"
    ).encode()


def opened(place: tuple[str, int], books: Books) -> socket.socket:
    """A stream that has said where it stands."""
    client = _connected(place)
    client.sendall(asking(books))
    received = b""
    while b"event: ready" not in received:
        received += client.recv(4096)
    return client


def _connected(place: tuple[str, int]) -> socket.socket:
    """It prints its address a moment before it takes connections."""
    end = time.monotonic() + SECONDS
    while True:
        try:
            return socket.create_connection(place, timeout=10)
        except ConnectionRefusedError:
            assert time.monotonic() < end


def rest(client: socket.socket) -> bytes:
    received = b""
    while data := client.recv(4096):
        received += data
    return received


@pytest.mark.parametrize("full", [False, True], ids=["stopped", "stopped with full buffers"])
def test_it_ends_at_once(own_database, own_books, full):
    with serving(url=own_database) as (process, address), ExitStack() as stack:
        place = (urlsplit(address).hostname, urlsplit(address).port)
        request = asking(own_books).decode()
        stopped = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-c", FILLER, place[0], str(place[1]), request],
                stdout=subprocess.PIPE,
            )
        )
        stack.callback(stopped.kill)
        assert stopped.stdout.readline() == b"open\n"
        os.kill(stopped.pid, signal.SIGSTOP)
        if full:
            asyncio.run(fill(own_database, own_books))
        clients = [
            stack.enter_context(closing(opened(place, own_books))) for _ in range(STREAMS - 1)
        ]
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        for client in clients:
            assert rest(client).endswith(LAST)
        others = time.monotonic() - began
        process.wait(20)
        took = time.monotonic() - began
    assert process.returncode == 0
    assert others < 1
    assert took < 5
