"""Line 8: a file of new movements into a ledger that has as many: freshledger, psql, the ORM.

All three write the same rows into a copy of the same database, with the same indexes and
triggers, and all must end with the same rows. freshledger is its command as a user runs it:
from the start of the process to its end, with detection, duplicate check and one commit.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.bench import FOLDER, Bench
from benchmarks.measures import Measure, ratio
from benchmarks.movements import COLUMNS, movements, values, write_ours, write_plain
from freshledger.cli.postgres import for_libpq, outside_pools, with_database
from freshledger.embedded import tool
from freshledger.models import Transaction
from freshledger.schema import upgrade

LINES = ("8",)

TEMPLATE, COPY = "freshledger_bench_imports", "freshledger_bench_importing"
_OLD, _NEW = 1, 2
"""The seeds of the rows."""

ORM_SHARE = 10
"""The ORM is given one row in so many, the first ones: rates are compared."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """So many new rows: a file of ours, and the same for psql."""

    rows: int
    ours: Path
    plain: Path


@dataclass(frozen=True, slots=True)
class _Target:
    """A copy of the ledger, and its empty wallet for what is new."""

    url: str
    ledger_id: int
    wallet_id: int

    @property
    def place(self) -> dict[str, int]:
        """Where new rows belong."""
        return {"ledger_id": self.ledger_id, "wallet_id": self.wallet_id}


_Party = Callable[[_Target, _Batch], Awaitable[int]]
"""Writes (some of) the rows and returns how many."""


async def measure(bench: Bench) -> list[Measure]:
    """Import, copy and add in turn, each into a copy of its own; then once the whole number."""
    size = bench.size
    FOLDER.mkdir(exist_ok=True)
    rates: dict[str, list[float]] = {name: [] for name in _PARTIES}
    whole: dict[str, list[float]] = {name: [] for name in ("freshledger", "psql")}
    with TemporaryDirectory(dir=FOLDER) as folder:
        bench.say(f"line 8: a ledger of {size.import_rows:,} movements")
        target = await _make_template(bench, Path(folder))
        part = _make_batch(Path(folder), target, size.import_round_rows)
        for n in range(size.rounds):
            bench.say(f"line 8: round {n + 1}")
            await _round(bench, target, part, _PARTIES, rates)
        bench.say(f"line 8: {size.import_rows:,} rows at once")
        batch = _make_batch(Path(folder), target, size.import_rows)
        await _round(bench, target, batch, {name: _PARTIES[name] for name in whole}, whole)
        await _drop(bench, TEMPLATE)
    return _measures(bench, rates, whole)


def _measures(
    bench: Bench, rates: dict[str, list[float]], whole: dict[str, list[float]]
) -> list[Measure]:
    rows, part = bench.size.import_rows, bench.size.import_round_rows
    ours, psql, orm = (tuple(rates[name]) for name in _PARTIES)
    (ours_whole,), (psql_whole,) = whole["freshledger"], whole["psql"]
    into = f"into a ledger of {rows:,}, all indexes and triggers on"
    return [
        Measure("8", f"freshledger import, {part:,} rows", "rows/s", ours, note=into),
        Measure("8", f"psql \\copy, {part:,} rows", "rows/s", psql, note=into),
        Measure("8", f"ORM add_all, {part // ORM_SHARE:,} rows", "rows/s", orm, note=into),
        ratio("8", "import to psql's \\copy", ours, psql, at_least=0.4),
        ratio("8", "import to the ORM's add_all", ours, orm, at_least=10),
        Measure("8", f"freshledger import, {rows:,} rows", "s", (rows / ours_whole,), note="once"),
        ratio("8", f"import to \\copy, {rows:,} rows", (ours_whole,), (psql_whole,), note="once"),
    ]


def _make_batch(folder: Path, target: _Target, rows: int) -> _Batch:
    batch = _Batch(rows, folder / f"{rows}.csv", folder / f"{rows}.copy")
    write_ours(batch.ours, rows, _NEW)
    write_plain(batch.plain, rows, _NEW, target.place)
    return batch


async def _make_template(bench: Bench, folder: Path) -> _Target:
    """Make the database that each party gets a copy of: a ledger with a wallet full of rows."""
    await _drop(bench, TEMPLATE)
    await _psql(bench.server.url, f"CREATE DATABASE {TEMPLATE}")
    url = with_database(bench.server.url, TEMPLATE)
    await upgrade(url)
    async with outside_pools(url).begin() as connection:
        key = (await connection.execute(_LEDGER)).one()
    target = _Target(url, key.ledger_id, key.wallet_id)
    old = folder / "old.copy"
    write_plain(old, bench.size.import_rows, _OLD, target.place | {"wallet_id": key.old_id})
    await _copy(target, _Batch(bench.size.import_rows, old, old))
    await _psql(url, "VACUUM (ANALYZE)", "CHECKPOINT")
    return target


_LEDGER = text("""
WITH made AS (INSERT INTO ledgers (name) VALUES ('Books') RETURNING id),
     old AS (INSERT INTO wallets (ledger_id, name) SELECT id, 'old' FROM made RETURNING id),
     new AS (INSERT INTO wallets (ledger_id, name) SELECT id, 'new' FROM made RETURNING id)
SELECT made.id AS ledger_id, old.id AS old_id, new.id AS wallet_id FROM made, old, new
""")


@asynccontextmanager
async def _copied(bench: Bench, target: _Target) -> AsyncIterator[_Target]:
    """Copy the template for a party; the copy is dropped afterwards."""
    await _drop(bench, COPY)
    create = f"CREATE DATABASE {COPY} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY"
    await _psql(bench.server.url, create)
    try:
        yield replace(target, url=with_database(bench.server.url, COPY))
    finally:
        await _drop(bench, COPY)


async def _drop(bench: Bench, name: str) -> None:
    await _psql(bench.server.url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


async def _psql(url: str, *commands: str) -> None:
    address, environment = for_libpq(url)
    given = [part for one in commands for part in ("-c", one)]
    await _run(
        tool("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", *given, address, environment=environment
    )


async def _run(*command: str | Path, environment: Mapping[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said = (await process.communicate())[0].decode()
    if process.returncode:
        raise click.ClickException(f"{command[0]} failed: {said}")


async def _round(
    bench: Bench,
    target: _Target,
    batch: _Batch,
    parties: Mapping[str, _Party],
    rates: dict[str, list[float]],
) -> None:
    found: dict[str, tuple[Any, ...]] = {}
    for name, party in parties.items():
        async with _copied(bench, target) as copy:
            began = time.perf_counter()
            done = await party(copy, batch)
            rates[name].append(done / (time.perf_counter() - began))
            share = await _state(copy, batch.rows // ORM_SHARE)
            found[name] = (share, await _state(copy, done), done)
    _check(found)


def _check(found: dict[str, tuple[Any, ...]]) -> None:
    """Raise ClickException unless all wrote the same rows, and as many as they said."""
    shares = {share[1:] for share, _state, _done in found.values()}
    states = {done: state for _share, state, done in found.values()}
    same = all(
        state == states[done] and (state[0], state[1]) == (done, done)
        for _share, state, done in found.values()
    )
    if len(shares) != 1 or not same:
        raise click.ClickException(f"line 8: not the same rows: {found}")


async def _import(target: _Target, batch: _Batch) -> int:
    command = (Path(sys.executable).with_name("freshledger"), "import", batch.ours)
    options = ("--ledger", str(target.ledger_id), "--wallet", "new")
    environment = {"FRESHLEDGER_DATABASE_URL": target.url}
    await _run(*command, *options, environment=for_libpq(target.url)[1] | environment)
    return batch.rows


async def _copy(target: _Target, batch: _Batch) -> int:
    options = "(FORMAT csv, FORCE_NOT_NULL (note))"
    copy = f"\\copy transactions ({', '.join(COLUMNS)}) FROM '{batch.plain}' {options}"
    await _psql(target.url, copy)
    return batch.rows


async def _add(target: _Target, batch: _Batch) -> int:
    rows = batch.rows // ORM_SHARE
    async with AsyncSession(outside_pools(target.url)) as session:
        session.add_all(
            Transaction(**target.place, **values(cells))
            for cells in islice(movements(batch.rows, _NEW), rows)
        )
        await session.commit()
    return rows


_PARTIES: dict[str, _Party] = {"freshledger": _import, "psql": _copy, "orm": _add}


_STATE = text("""
SELECT (SELECT count(*) FROM transactions
        WHERE ledger_id = :ledger_id AND wallet_id = :wallet_id) AS all_rows,
       count(*), sum(amount), sum(hashtextextended(concat_ws('|', own_address, chain, txid,
         group_key, occurred_at, type, asset, amount, counterparty, note, identity, status), 0))
FROM (SELECT * FROM transactions WHERE ledger_id = :ledger_id AND wallet_id = :wallet_id
      ORDER BY occurred_at LIMIT :rows) t
""")


async def _state(target: _Target, rows: int) -> tuple[Any, ...]:
    """Return how many new rows there are; number, sum and digest of the first so many."""
    async with outside_pools(target.url).connect() as connection:
        return tuple((await connection.execute(_STATE, target.place | {"rows": rows})).one())
