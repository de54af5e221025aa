"""Runs clients of open streams and pages, in a process of their own: watcher.py, following.py."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import click

from benchmarks.serving import ROOT, Served
from freshledger.web.context import hash_secret

EACH = 200
"""Streams or pages of one viewer; a process serves no more than 250 of them."""

PATIENCE = 300

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


class Clients:
    """The process of the clients; its clock is time.monotonic(), as that of this process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, command: dict[str, Any]) -> dict[str, Any]:
        """Let them do something, and return what they say when it is done."""
        if self._process.stdin is None:
            raise TypeError("its input is not piped")
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        await self._process.stdin.drain()
        return await self.answer()

    async def answer(self) -> dict[str, Any]:
        """Return what they say next; raises ClickException where that does not come."""
        if self._process.stdout is None:
            raise TypeError("its output is not piped")
        try:
            async with asyncio.timeout(PATIENCE):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise click.ClickException("a stream or page did not come to show a commit") from None
        if not line:
            raise click.ClickException("the clients have ended")
        return json.loads(line)


@asynccontextmanager
async def watching(program: str, server: Served) -> AsyncIterator[Clients]:
    """Run a program of clients of that server; at the end of the block they go away."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", program, str(urlsplit(server.address).port), cwd=ROOT,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Clients(process)
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
