"""Stages an import: its rows go by COPY into staged_rows, where SQL compares them set-wise.

Nothing of the ledger's transactions is touched. Memory stays flat at any size: equal rows are
counted by PostgreSQL, not here.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import insert, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger import named
from freshledger.imports.files import Source
from freshledger.imports.formats.records import Format, Options
from freshledger.imports.reading import COLUMNS, Place, Row, next_batch, staged_rows, wallet_names
from freshledger.models import ImportFile, Wallet

Report = Callable[[int, int], None]
"""Progress: done and total."""


async def plan_for_many(session: AsyncSession) -> None:
    """Let the transaction's statements hash and sort whatever their tables' statistics say.

    Rows that have just been written are not counted yet: PostgreSQL would look each of a
    million up in a table that it takes for empty.
    """
    await session.execute(_FOR_MANY)


_FOR_MANY = text("""
SELECT set_config('enable_nestloop', 'off', true), set_config('work_mem', '64MB', true),
       set_config('statement_timeout', '0', true)
""")


async def ensure_wallet(session: AsyncSession, *, ledger_id: int, name: str) -> tuple[int, bool]:
    """Return the id of the wallet of that name, and whether it was made just now.

    Raises Invalid for what is no name.
    """
    name = named.clean_name(name, field="wallet")
    made = await session.scalar(
        upsert(Wallet)
        .values(ledger_id=ledger_id, name=name)
        .on_conflict_do_nothing()
        .returning(Wallet.id)
    )
    if made is not None:
        return made, True
    wanted = text("lower(name) = lower(:name)").bindparams(name=name)
    found = await session.execute(select(Wallet.id).where(Wallet.ledger_id == ledger_id, wanted))
    return found.scalar_one(), False


async def insert_file(
    session: AsyncSession, *, ledger_id: int, import_id: int, source: Source, slug: str
) -> int:
    """Note a file of an import; returns its id."""
    values = {
        "ledger_id": ledger_id,
        "import_id": import_id,
        "name": source.name,
        "format": slug,
        "digest": source.digest,
        "size": source.size,
    }
    made = await session.execute(insert(ImportFile).values(values).returning(ImportFile.id))
    return made.scalar_one()


async def stage_file(
    session: AsyncSession, *, place: Place, source: Source, how: tuple[Format, Options],
    report: Callable[[int], Awaitable[None]],
) -> list[int]:  # fmt: skip
    """Read one file into staged_rows; returns the ids of wallets that it made.

    Raises Invalid, naming file, line and column, where the file cannot be read to its end.
    `report` gets how many of its bytes are read.
    """
    wallets: dict[str, int] = {}
    made: list[int] = []
    parse, options = how[0].parse, how[1]
    with source.path.open("rb") as stream:
        records = parse(stream, options)
        n = 0
        batch = await asyncio.to_thread(next_batch, records)
        while batch:
            for name in wallet_names(batch) - wallets.keys():
                wallets[name], new = await ensure_wallet(
                    session, ledger_id=place.ledger_id, name=name
                )
                made += [wallets[name]] if new else []
            rows = await asyncio.to_thread(staged_rows, batch, place, n, wallets)
            n += len(rows)
            # The thread parses the next batch while PostgreSQL takes this one.
            reading = asyncio.create_task(asyncio.to_thread(next_batch, records))
            try:
                await _copy(session, rows)
            finally:
                batch = await reading
            await report(source.size if stream.closed else stream.tell())
    return made


async def _copy(session: AsyncSession, rows: list[Row]) -> None:
    connection = await (await session.connection()).get_raw_connection()
    driver: Any = connection.driver_connection
    await driver.copy_records_to_table("staged_rows", records=rows, columns=COLUMNS)


async def tell_equals_apart(
    session: AsyncSession, *, ledger_id: int, import_id: int
) -> dict[str, Any]:
    """Give equal rows of a file numbers, and set rows aside that several files have.

    So of each identity there are as many movements as in the file that has most of them.
    Returns how many staged rows there are of each kind, and the movements' period.
    """
    key = {"ledger_id": ledger_id, "import_id": import_id}
    await session.execute(_OCCURRENCES, key)
    if await session.scalar(_MAY_REPEAT, key):
        await session.execute(_REPEATS, key)
    found = await session.execute(_KINDS, key)
    kinds = {row.kind: row for row in found}
    movements = kinds.get("movement")
    return {
        **{
            f"{k}s": kinds[k].rows if k in kinds else 0
            for k in ("movement", "reference", "problem")
        },
        "first": movements.first if movements else None,
        "last": movements.last if movements else None,
    }


_STAGED = "ledger_id = :ledger_id AND import_id = :import_id"

_MAY_REPEAT = text(f"""
SELECT (SELECT count(*) FROM import_files WHERE {_STAGED}) > 1
    OR EXISTS (SELECT FROM staged_rows WHERE {_STAGED} AND kind = 'movement' AND detail IS NOT NULL)
""")  # noqa: S608 - constants

_KINDS = text(f"""
SELECT kind, count(*) AS rows, min(occurred_at) AS first, max(occurred_at) AS last
FROM staged_rows WHERE {_STAGED} GROUP BY kind
""")  # noqa: S608 - constants

# Only identities that come twice are numbered: usually there are none, and nothing is written.
# A movement with a detail has its number from its file.
_OCCURRENCES = text(f"""
WITH equal AS (
  SELECT file_id, wallet_id, identity FROM staged_rows
  WHERE {_STAGED} AND kind = 'movement' AND detail IS NULL
  GROUP BY file_id, wallet_id, identity HAVING count(*) > 1
), numbered AS (
  SELECT s.file_id, s.n, row_number() OVER (
           PARTITION BY s.file_id, s.wallet_id, s.identity ORDER BY s.n) - 1 AS occurrence
  FROM staged_rows s JOIN equal USING (file_id, wallet_id, identity)
  WHERE s.ledger_id = :ledger_id AND s.import_id = :import_id AND s.kind = 'movement'
    AND s.detail IS NULL
)
UPDATE staged_rows s SET occurrence = numbered.occurrence FROM numbered
WHERE s.ledger_id = :ledger_id AND s.import_id = :import_id
  AND s.file_id = numbered.file_id AND s.n = numbered.n AND numbered.occurrence > 0
""")  # noqa: S608 - constants

# Of a row that several files have, the confirmed one stays, else the first file's.
_REPEATS = text(f"""
WITH ranked AS (
  SELECT file_id, n, row_number() OVER (
           PARTITION BY wallet_id, identity, occurrence
           ORDER BY status <> 'confirmed', file_id, n) AS place
  FROM staged_rows WHERE {_STAGED} AND kind = 'movement'
)
UPDATE staged_rows s SET kind = 'repeat' FROM ranked
WHERE s.ledger_id = :ledger_id AND s.import_id = :import_id
  AND s.file_id = ranked.file_id AND s.n = ranked.n AND ranked.place > 1
""")  # noqa: S608 - constants
