"""One run: a ledger, processes of clients, and what they and the database say of it."""

import asyncio
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import msgspec

from freshledger.web.security import csrf_token
from ledger import let_in, make_ledger, version_of
from proof.checker import Violation, check
from proof.clients import Site
from proof.load import Spec
from proof.records import Record, read_records
from proof.serving import TESTS
from proof.truth import Truth, read_truth

ROWS = 50


@dataclass(frozen=True)
class Run:
    """The history of a run."""

    records: list[Record]
    truth: Truth

    @property
    def violations(self) -> list[Violation]:
        return check(self.records, self.truth)

    def count(self, *kinds: str) -> int:
        """How many operations of these kinds had an answer."""
        return sum(one.kind in kinds and one.outcome == "ok" for one in self.records)


async def make_site(database: str, address: str, *, rows: int = ROWS) -> Site:
    """Make a ledger, its owner's browser, and a program that may write."""
    connection = await asyncpg.connect(database)
    try:
        ledger = await make_ledger(connection, rows=rows)
        browser, program = await let_in(connection, ledger, scope="write")
    finally:
        await connection.close()
    return Site(
        address, database, ledger.id, tuple(ledger.transactions), tuple(ledger.labels),
        ledger.wallet, browser, program, csrf_token(browser["cookie"].partition("=")[2]),
    )  # fmt: skip


async def truth_of(site: Site) -> Truth:
    connection = await asyncpg.connect(site.database)
    try:
        return await read_truth(connection, site.ledger)
    finally:
        await connection.close()


async def let_loose(
    site: Site, folder: Path, processes: Iterable[dict[str, int]], *, seconds: float, seed: int = 1
) -> Run:
    """Run a process of clients for each of `processes` ({kind: how many}); return the history."""
    specs = [
        Spec(f"p{number}", site, seconds, clients, seed) for number, clients in enumerate(processes)
    ]
    paths = [folder / f"{spec.process}.jsonl" for spec in specs]
    running = [await _start(spec, path) for spec, path in zip(specs, paths, strict=True)]
    try:
        await asyncio.gather(*map(_written, running))
        await _tell(running, await version_now(site))
        codes = await asyncio.gather(*(process.wait() for process in running))
    finally:
        for process in running:
            if process.returncode is None:
                process.kill()
                await process.wait()
    if any(codes):
        raise AssertionError(f"a process of clients failed: {codes}")
    return Run(list(read_records(paths)), await truth_of(site))


async def _start(spec: Spec, path: Path) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "proof.load", str(path),
        env={**os.environ, "PYTHONPATH": TESTS},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin
    process.stdin.write(msgspec.json.encode(spec) + b"\n")
    await process.stdin.drain()
    return process


async def _written(process: asyncio.subprocess.Process) -> None:
    assert process.stdout
    if await process.stdout.readline() != b"written\n":
        raise AssertionError("a process of clients ended before its time")


async def _tell(running: list[asyncio.subprocess.Process], version: int) -> None:
    for process in running:
        assert process.stdin
        process.stdin.write(f"{version}\n".encode())
        await process.stdin.drain()


async def version_now(site: Site) -> int:
    connection = await asyncpg.connect(site.database)
    try:
        version = await version_of(connection, site.ledger)
    finally:
        await connection.close()
    assert version is not None
    return version
