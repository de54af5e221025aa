"""The least that tells a commit to open streams: Quart on Hypercorn, one LISTEN, a queue a stream.

It knows no viewers and reads no changes: what a notification says is sent on, filled up to
FANOUT_BYTES, once to every queue.

    hypercorn --worker-class uvloop --workers 0 benchmarks.peers.fanout:app
"""

import asyncio
import json
import os
from collections.abc import AsyncGenerator

import asyncpg
from quart import Quart, Response

app = Quart(__name__)
queues: set[asyncio.Queue[bytes]] = set()
size = int(os.environ["FANOUT_BYTES"])


def event(name: str, version: int) -> bytes:
    """Return an event of `size` bytes, or more where less cannot be."""

    def text(filling: str) -> str:
        data = json.dumps({"version": version, "filling": filling})
        return f"event: {name}\nid: {version}\ndata: {data}\n\n"

    return text("x" * max(0, size - len(text("")))).encode()


def hear(_connection: object, _pid: int, _channel: str, payload: str) -> None:
    """Tell all streams."""
    told = event("change", int(payload.partition(":")[2]))
    for queue in queues:
        queue.put_nowait(told)


@app.while_serving
async def listening() -> AsyncGenerator[None, None]:
    """Listen, on one connection, as long as it serves."""
    connection = await asyncpg.connect(os.environ["FANOUT_DATABASE"])
    await connection.add_listener("ledger", hear)
    yield
    await connection.close()


@app.get("/live")
async def live() -> Response:
    """Follow."""
    response = Response(events(), content_type="text/event-stream")
    response.timeout = None
    return response


async def events() -> AsyncGenerator[bytes, None]:
    """Say that it is there, and then whatever comes."""
    queue: asyncio.Queue[bytes] = asyncio.Queue()
    queues.add(queue)
    try:
        yield event("ready", 0)
        while True:
            yield await queue.get()
    finally:
        queues.discard(queue)
