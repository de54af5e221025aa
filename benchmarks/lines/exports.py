"""Line 10, exports: a worker's memory while it makes an export of everything and sends the file.

freshledger writes an export to a file, all of one snapshot, and then sends that. Its memory is
looked at a few times a second during both, while a client asks how far it is and reads.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import httpx
import psutil

from benchmarks.bench import Bench
from benchmarks.data import Books
from benchmarks.measures import Measure
from benchmarks.serving import Served, freshledger

LINES = ("10",)

FLAT = 10_000
"""KB that a worker may grow after the first tenth of an export."""

_EVERY, _MB = 0.1, 1024**2
_TENTH = 10


@dataclass(slots=True)
class _Memory:
    """Resident memory in KB: `resting`, after a tenth of the rows, and the most since."""

    process: psutil.Process
    resting: float
    tenth: float = 0
    most: float = 0
    seconds: float = field(default=0)

    def look(self) -> float:
        """Return what it has now."""
        return float(self.process.memory_info().rss) / 1000


async def measure(bench: Bench) -> list[Measure]:
    """Export the usual ledger as JSON Lines: once, it is its memory that is measured."""
    books = await bench.books(bench.size.rows)
    bench.say(f"line 10: an export of {books.rows:,} rows")
    with TemporaryDirectory(dir=bench.folder) as folder:
        async with _client(books, Path(folder)) as (served, client):
            (await client.get(f"/api/v1/ledgers/{books.ledger_id}/transactions")).raise_for_status()
            memory = _Memory(served.process, served.process.memory_info().rss / 1000)
            began = asyncio.get_running_loop().time()
            address = await _make(client, books, memory)
            await _fetch(client, f"{address}/file", books, memory)
            memory.seconds = asyncio.get_running_loop().time() - began
    grown, name = memory.most - memory.tenth, f"an export of {books.rows:,} rows"
    return [
        Measure("10", "a worker at rest, after one page", "KB", (memory.resting,)),
        Measure("10", f"{name}, made and fetched", "s", (memory.seconds,)),
        Measure("10", f"{name}: the worker's most memory", "KB", (memory.most,)),
        Measure("10", f"{name}: growth after a tenth", "KB", (grown,), at_most=FLAT),
    ]


@asynccontextmanager
async def _client(books: Books, folder: Path) -> AsyncIterator[tuple[Served, httpx.AsyncClient]]:
    bearer = {"Authorization": f"Bearer {books.token}"}
    async with (
        freshledger(books.url, data_dir=folder) as served,
        httpx.AsyncClient(base_url=served.address, headers=bearer, timeout=60) as client,
    ):
        yield served, client


async def _make(client: httpx.AsyncClient, books: Books, memory: _Memory) -> str:
    """Let an export be made, and look at the memory until it is; return its address."""
    root = f"/api/v1/ledgers/{books.ledger_id}/exports"
    made = await client.post(root, json={"format": "jsonl", "filter": ""})
    made.raise_for_status()
    address, found = made.headers["Location"], made.json()
    while found["status"] == "making":
        if found["done"] * _TENTH >= books.rows:
            memory.tenth = memory.tenth or memory.look()
            memory.most = max(memory.most, memory.look())
        await asyncio.sleep(_EVERY)
        found = (await client.get(address)).json()
    if found["status"] != "done" or found["total"] != books.rows:
        raise click.ClickException(f"line 10: the export ended as {found}")
    memory.tenth = memory.tenth or memory.look()
    return str(address)


async def _fetch(client: httpx.AsyncClient, address: str, books: Books, memory: _Memory) -> None:
    """Read the file as it comes; raises ClickException unless it has every row once."""
    seen, part = set[str](), b""
    async with client.stream("GET", address) as answer:
        answer.raise_for_status()
        async for piece in answer.aiter_bytes(_MB):
            *lines, part = (part + piece).split(b"\n")
            seen.update(json.loads(line)["identity"] for line in lines)
            memory.most = max(memory.most, memory.look())
    if len(seen) != books.rows or part:
        raise click.ClickException(f"line 10: {len(seen):,} rows in a file of {books.rows:,}")
