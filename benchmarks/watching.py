"""Runs the clients of open streams, and says when the last of them has heard of a commit."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import click

from benchmarks.serving import ROOT, Served
from freshledger.web.context import hash_secret

EACH = 200
"""Streams or pages of one viewer; a process serves no more than 250 of them."""

PATIENCE = 60

_VIEWER = """
WITH person AS (
  INSERT INTO users (email, name) VALUES ('watcher-' || $2 || '@example.org', 'Watcher ' || $2)
  ON CONFLICT (lower(email)) DO UPDATE SET name = excluded.name RETURNING id),
member AS (
  INSERT INTO members (ledger_id, user_id, role) SELECT $1, id, 'viewer' FROM person
  ON CONFLICT DO NOTHING)
INSERT INTO sessions (user_id, token_hash, expires_at)
SELECT id, $3, now() + interval '1 day' FROM person
"""


@dataclass(frozen=True, slots=True)
class Heard:
    """When all streams had one event; `events` are the different ones: version and size."""

    first: float
    last: float
    events: list[list[int]]


class Watchers:
    """The process that watches; its clock is time.monotonic(), as that of this process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def open(self, streams: Sequence[tuple[str, str]]) -> None:
        """Open streams: each the path and the secret of the viewer's session."""
        await self._ask({"open": streams})

    async def listen(self) -> None:
        """Wait from now on for an event of every stream."""
        await self._ask({"listen": True})

    async def heard(self) -> Heard:
        """Return when the last of them came; raises ClickException if one is missing."""
        return Heard(**await self._answer())

    async def _ask(self, command: dict[str, Any]) -> None:
        if self._process.stdin is None:
            raise TypeError("its input is not piped")
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        await self._process.stdin.drain()
        await self._answer()

    async def _answer(self) -> dict[str, Any]:
        if self._process.stdout is None:
            raise TypeError("its output is not piped")
        try:
            async with asyncio.timeout(PATIENCE):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise click.ClickException("a stream did not tell of a commit") from None
        if not line:
            raise click.ClickException("the streams' clients have ended")
        return json.loads(line)


@asynccontextmanager
async def watching(server: Served) -> AsyncIterator[Watchers]:
    """Run clients of that server; at the end of the block they go away."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.watcher", str(urlsplit(server.address).port), cwd=ROOT,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Watchers(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def sign_in(connection: asyncpg.Connection, ledger_id: int, clients: int) -> list[str]:
    """Return the session's secret of each client: a viewer of the ledger for every EACH of them."""
    secrets = [uuid4().hex for _ in range(0, clients, EACH)]
    for number, secret in enumerate(secrets):
        await connection.execute(_VIEWER, ledger_id, str(number), hash_secret(secret))
    return [secrets[number // EACH] for number in range(clients)]
