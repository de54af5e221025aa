"""Line 8: a file of new movements into a ledger that has as many: freshledger, psql, the ORM.

All three write the same rows into a copy of the same database, with the same indexes and
triggers, and all must end with the same rows. freshledger is its command as a user runs it:
from the start of the process to its end, with detection, duplicate check and one commit.
"""

import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.bench import Bench
from benchmarks.copies import copied, psql, run
from benchmarks.data import Books
from benchmarks.measures import Measure, ratio
from benchmarks.movements import COLUMNS, movements, values, write_ours, write_plain
from freshledger.cli.postgres import outside_pools
from freshledger.models import Transaction

LINES = ("8",)

_SEED = 2

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
    books = await bench.books(size.rows)
    async with copied(bench, books) as copy:
        place = (await _target(copy)).place
    rates: dict[str, list[float]] = {name: [] for name in _PARTIES}
    whole: dict[str, list[float]] = {name: [] for name in ("freshledger", "psql")}
    with TemporaryDirectory(dir=bench.folder) as folder:
        part = _make_batch(Path(folder), place, size.import_round_rows)
        for n in range(size.rounds):
            bench.say(f"line 8: {part.rows:,} rows, round {n + 1}")
            await _round(bench, books, part, _PARTIES, rates)
        batch = _make_batch(Path(folder), place, size.import_rows)
        bench.say(f"line 8: {batch.rows:,} rows")
        await _round(bench, books, batch, {name: _PARTIES[name] for name in whole}, whole)
    return _measures(bench, rates, whole)


_INDEXES = "all three pay for the same indexes, row by row: \\copy beside it is the most there is"


def _measures(
    bench: Bench, rates: dict[str, list[float]], whole: dict[str, list[float]]
) -> list[Measure]:
    rows, part = bench.size.import_rows, bench.size.import_round_rows
    ours, psql_rates, orm = (tuple(rates[name]) for name in _PARTIES)
    (ours_whole,), (psql_whole,) = whole["freshledger"], whole["psql"]
    into = f"into a ledger of {bench.size.rows:,}, all indexes and triggers on"
    return [
        Measure("8", f"freshledger import, {part:,} rows", "rows/s", ours, note=into),
        Measure("8", f"psql \\copy, {part:,} rows", "rows/s", psql_rates, note=into),
        Measure("8", f"ORM add_all, {part // ORM_SHARE:,} rows", "rows/s", orm, note=into),
        ratio("8", "import to psql's \\copy", ours, psql_rates, at_least=0.4),
        ratio("8", "import to the ORM's add_all", ours, orm, at_least=10, note=_INDEXES),
        ratio("8", "psql's \\copy to the ORM's add_all", psql_rates, orm),
        Measure("8", f"freshledger import, {rows:,} rows", "s", (rows / ours_whole,), note="once"),
        ratio("8", f"import to \\copy, {rows:,} rows", (ours_whole,), (psql_whole,), note="once"),
    ]


def _make_batch(folder: Path, place: dict[str, int], rows: int) -> _Batch:
    batch = _Batch(rows, folder / f"{rows}.csv", folder / f"{rows}.copy")
    write_ours(batch.ours, rows, _SEED)
    write_plain(batch.plain, rows, _SEED, place)
    return batch


async def _target(copy: Books) -> _Target:
    """Make the wallet for what is new: in every copy it has the same id."""
    insert = f"INSERT INTO wallets (ledger_id, name) VALUES ({copy.ledger_id}, 'new') RETURNING id"
    return _Target(copy.url, copy.ledger_id, int(await psql(copy.url, insert)))


async def _round(
    bench: Bench,
    books: Books,
    batch: _Batch,
    parties: Mapping[str, _Party],
    rates: dict[str, list[float]],
) -> None:
    found: dict[str, tuple[Any, ...]] = {}
    for name, party in parties.items():
        async with copied(bench, books) as copy:
            target = await _target(copy)
            began = time.perf_counter()
            done = await party(target, batch)
            rates[name].append(done / (time.perf_counter() - began))
            share = await _state(target, batch.rows // ORM_SHARE)
            found[name] = (share, await _state(target, done), done)
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
    await run(*command, *options, environment=environment)
    return batch.rows


async def _copy(target: _Target, batch: _Batch) -> int:
    options = "(FORMAT csv, FORCE_NOT_NULL (note))"
    copy = f"\\copy transactions ({', '.join(COLUMNS)}) FROM '{batch.plain}' {options}"
    await psql(target.url, copy)
    return batch.rows


async def _add(target: _Target, batch: _Batch) -> int:
    rows = batch.rows // ORM_SHARE
    async with AsyncSession(outside_pools(target.url)) as session:
        session.add_all(
            Transaction(**target.place, **values(cells))
            for cells in islice(movements(batch.rows, _SEED), rows)
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
