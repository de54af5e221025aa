"""Line 11: `freshledger serve` with its own PostgreSQL and a full ledger, to the first page.

From the start of the process to the end of the first answer: the embedded server starts, the
migrations are looked through, the application comes up. Nothing runs before; the files of the
data folder may be in the system's cache, as after a restart of the program.
"""

import asyncio
import time
from pathlib import Path

import click
import httpx

from benchmarks.bench import Bench
from benchmarks.copies import psql
from benchmarks.data import Books, prepare
from benchmarks.measures import Measure
from benchmarks.serving import freshledger
from freshledger.cli.postgres import database_name, with_database
from freshledger.embedded import EmbeddedServer

LINES = ("11",)


async def measure(bench: Bench) -> list[Measure]:
    """Start and stop it, and time the first page and the first page of the ledger."""
    size = bench.size
    books = await _fill(bench)
    first: list[float] = []
    signed_in: list[float] = []
    for n in range(size.rounds):
        bench.say(f"line 11: round {n + 1}")
        began = time.perf_counter()
        async with (
            freshledger(None, data_dir=_data(bench)) as served,
            httpx.AsyncClient(base_url=served.address, timeout=60) as client,
        ):
            await _get(client, "/login", "<form")
            first.append(time.perf_counter() - began)
            client.cookies.set("freshledger", books.session)
            await _get(client, f"/ledgers/{books.ledger_id}/transactions", 'id="frame"')
            signed_in.append(time.perf_counter() - began)
    note = f"with a ledger of {size.rows:,} rows"
    return [
        Measure("11", "serve to its first page", "s", tuple(first), at_most=3, note=note),
        Measure("11", "serve to the list, signed in", "s", tuple(signed_in), note=note),
    ]


def _data(bench: Bench) -> Path:
    return bench.folder / "start"


async def _fill(bench: Bench) -> Books:
    """Fill the data folder's own database by copying the ledger that is kept beside it."""
    server = EmbeddedServer(_data(bench))
    await asyncio.to_thread(server.start)
    try:
        books = await prepare(server, bench.size.rows, bench.say)
        own, admin = database_name(server.url), with_database(server.url, "postgres")
        await psql(admin, f"DROP DATABASE {own} WITH (FORCE)")
        template = database_name(books.url)
        await psql(admin, f"CREATE DATABASE {own} TEMPLATE {template} STRATEGY FILE_COPY")
    finally:
        await asyncio.to_thread(server.stop)
    return books


async def _get(client: httpx.AsyncClient, path: str, holds: str) -> None:
    answer = await client.get(path)
    if answer.status_code != httpx.codes.OK or holds not in answer.text:
        raise click.ClickException(f"line 11: {path} answered {answer.status_code}")
