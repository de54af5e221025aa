"""Imports as rows: finding them, and the steps of their status."""

from typing import Any

from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger.database import AnyRow, AnySelect
from freshledger.errors import Conflict, NotFound
from freshledger.models import Import, ImportFile, StagedRow, User, Wallet

LISTED = 200
"""How many imports the list shows; older ones are reached by their address."""


def _imports() -> AnySelect:
    return (
        select(
            Import.id,
            Import.wallet_id,
            Import.status,
            Import.error,
            Import.options,
            Import.counts,
            Import.created_at,
            Import.finished_at,
            Wallet.name.label("wallet"),
            User.name.label("user_name"),
            User.email.label("user_email"),
        )
        .join(Wallet, (Wallet.ledger_id == Import.ledger_id) & (Wallet.id == Import.wallet_id))
        .outerjoin(User, User.id == Import.user_id)
    )


async def list_imports(session: AsyncSession, *, ledger_id: int) -> list[AnyRow]:
    """Return the newest imports, each with its files' names and formats."""
    files = (
        select(func.array_agg(ImportFile.name), func.array_agg(ImportFile.format.distinct()))
        .where(ImportFile.ledger_id == Import.ledger_id, ImportFile.import_id == Import.id)
        .correlate(Import)
    )
    names = files.with_only_columns(func.array_agg(ImportFile.name)).scalar_subquery()
    formats = files.with_only_columns(
        func.array_agg(ImportFile.format.distinct())
    ).scalar_subquery()
    listed = (
        _imports()
        .add_columns(names.label("files"), formats.label("formats"))
        .where(Import.ledger_id == ledger_id)
        .order_by(Import.id.desc())
        .limit(LISTED)
    )
    return list(await session.execute(listed))


async def get_import(session: AsyncSession, *, ledger_id: int, import_id: int) -> AnyRow:
    """Return an import; raises NotFound."""
    wanted = _imports().where(Import.ledger_id == ledger_id, Import.id == import_id)
    found = (await session.execute(wanted)).one_or_none()
    if found is None:
        raise NotFound("there is no such import in this ledger")
    return found


async def list_wallet_names(session: AsyncSession, *, ledger_id: int) -> list[str]:
    """Return the wallets' names in the order of the alphabet."""
    names = (
        select(Wallet.name).where(Wallet.ledger_id == ledger_id).order_by(func.lower(Wallet.name))
    )
    return list(await session.scalars(names))


async def list_files(session: AsyncSession, *, ledger_id: int, import_id: int) -> list[AnyRow]:
    """Return an import's files; `before` is when the same content was last imported, or None."""
    return list(await session.execute(_FILES, {"ledger_id": ledger_id, "import_id": import_id}))


_FILES = text("""
SELECT f.id, f.name, f.format, f.size, f.digest,
       (SELECT max(i.finished_at) FROM import_files o
        JOIN imports i ON i.ledger_id = o.ledger_id AND i.id = o.import_id AND i.status = 'done'
        WHERE o.ledger_id = f.ledger_id AND o.digest = f.digest AND o.import_id <> f.import_id)
         AS before
FROM import_files f WHERE f.ledger_id = :ledger_id AND f.import_id = :import_id ORDER BY f.id
""")


async def update_file(session: AsyncSession, *, ledger_id: int, file_id: int, slug: str) -> None:
    """Note the format that a file is read as."""
    await session.execute(
        update(ImportFile)
        .where(ImportFile.ledger_id == ledger_id, ImportFile.id == file_id)
        .values(format=slug)
    )


async def insert_import(session: AsyncSession, **values: Any) -> int:  # noqa: ANN401 - its columns
    """Make an import; returns its id."""
    made = await session.execute(insert(Import).values(values).returning(Import.id))
    return made.scalar_one()


async def update_import(
    session: AsyncSession,
    *,
    ledger_id: int,
    import_id: int,
    **values: Any,  # noqa: ANN401 - its columns
) -> None:
    """Change an import's columns."""
    await session.execute(
        update(Import).where(Import.ledger_id == ledger_id, Import.id == import_id).values(values)
    )


async def move_import(
    session: AsyncSession,
    *,
    ledger_id: int,
    import_id: int,
    steps: dict[str, str],
    **values: Any,  # noqa: ANN401 - its columns
) -> str:
    """Move an import on from one of `steps`' statuses to the status it names; returns that.

    Of two who do it at once one succeeds; raises Conflict for the other, NotFound if there is
    no such import.
    """
    wanted = (
        select(Import.status)
        .where(Import.ledger_id == ledger_id, Import.id == import_id)
        .with_for_update(key_share=True)  # what is being written holds a key share of it
    )
    status = await session.scalar(wanted)
    if status is None:
        raise NotFound("there is no such import in this ledger")
    if status not in steps:
        raise Conflict(_SAID[status])
    await update_import(
        session, ledger_id=ledger_id, import_id=import_id, status=steps[status], **values
    )
    return steps[status]


_SAID = {
    "reading": "the files of this import are being read right now; wait for it, or cancel it",
    "staged": "this import has not been committed",
    "committing": "this import is being committed right now; wait for it, or cancel it",
    "done": "this import has been committed already",
    "failed": "this import failed; choose its files again",
    "cancelled": "this import was cancelled; choose its files again",
    "taking_back": "this import is being taken back right now; wait for it, or cancel it",
    "taken_back": "this import has been taken back",
}


async def delete_import(session: AsyncSession, *, ledger_id: int, import_id: int) -> None:
    """Delete an import that was never committed, and the empty wallets it made."""
    found = await get_import(session, ledger_id=ledger_id, import_id=import_id)
    gone = delete(Import).where(Import.ledger_id == ledger_id, Import.id == import_id)
    await session.execute(gone)
    for wallet_id in found.options.get("made_wallets", []):
        values = {"ledger_id": ledger_id, "wallet_id": wallet_id}
        await session.execute(_DELETE_EMPTY_WALLET, values)


_DELETE_EMPTY_WALLET = text("""
DELETE FROM wallets w WHERE w.ledger_id = :ledger_id AND w.id = :wallet_id
  AND NOT EXISTS (SELECT FROM transactions t
                  WHERE t.ledger_id = w.ledger_id AND t.wallet_id = w.id)
  AND NOT EXISTS (SELECT FROM wallet_addresses a
                  WHERE a.ledger_id = w.ledger_id AND a.wallet_id = w.id)
  AND NOT EXISTS (SELECT FROM imports i WHERE i.ledger_id = w.ledger_id AND i.wallet_id = w.id)
""")


async def count_staged(session: AsyncSession, *, ledger_id: int, import_id: int) -> int:
    """Return how many rows wait; staging does not survive a crash of PostgreSQL."""
    wanted = select(func.count()).select_from(StagedRow)
    wanted = wanted.where(StagedRow.ledger_id == ledger_id, StagedRow.import_id == import_id)
    return (await session.execute(wanted)).scalar_one()


async def find_progress(
    session: AsyncSession, *, ledger_id: int, import_id: int
) -> tuple[int, int] | None:
    """Return how far the work on it is (done, total), whichever process does it.

    It is bytes while files are read, movements while they are committed
    or taken back.
    """
    name = progress_name(ledger_id, import_id, "")
    shown = await session.scalar(_PROGRESS, {"name": name})
    if shown is None:
        return None
    done, _, total = shown.removeprefix(name).partition("/")
    return int(done), int(total)


def progress_name(ledger_id: int, import_id: int, progress: str) -> str:
    """Name the connection that works on an import: what pg_stat_activity shows everybody."""
    return f"freshledger import {ledger_id}/{import_id} {progress}"


_PROGRESS = text("""
SELECT application_name FROM pg_stat_activity
WHERE datname = current_database() AND starts_with(application_name, :name)
""")


async def take_back_lines(session: AsyncSession, *, ledger_id: int, import_id: int) -> None:
    """Delete the lines of BIP-329 that no other standing import contains, and their ties.

    It waits for imports into the same wallets, and they wait for the transaction's end.
    """
    key = {"ledger_id": ledger_id, "import_id": import_id}
    await session.execute(_LOCK, key)
    await session.execute(_UNTIE, key)
    await session.execute(_TAKE_BACK_LINES, key)


async def list_parts(session: AsyncSession, *, ledger_id: int, import_id: int) -> list[AnyRow]:
    """Return an import's movements in parts: the first and the last id, and how many `rows`."""
    return list(await session.execute(_PARTS, {"ledger_id": ledger_id, "import_id": import_id}))


async def take_back_part(
    session: AsyncSession, *, ledger_id: int, import_id: int, first: int, last: int
) -> int:
    """Delete a part's movements that no other standing import contains; returns how many.

    Only what some import brought: a row made by hand stays, also where a file had it too.
    """
    values = {"ledger_id": ledger_id, "import_id": import_id, "first": first, "last": last}
    return (await session.execute(_TAKE_BACK, values)).rowcount  # type: ignore[attr-defined, no-any-return]


_LOCK = text("""
SELECT pg_advisory_xact_lock(hashtextextended('import into ' || ledger_id || '/' || wallet_id, 0))
FROM (SELECT DISTINCT t.ledger_id, t.wallet_id FROM import_rows r
      JOIN transactions t ON t.ledger_id = r.ledger_id AND t.id = r.transaction_id
      WHERE r.ledger_id = :ledger_id AND r.import_id = :import_id ORDER BY 2) w
""")


def _orphans(table: str, column: str) -> str:
    """Select the ids that this import contains, some import brought, and no other holds."""
    return f"""
SELECT r.{column} FROM {table} r WHERE r.ledger_id = :ledger_id AND r.import_id = :import_id
  AND EXISTS (SELECT FROM {table} b WHERE b.ledger_id = r.ledger_id
              AND b.{column} = r.{column} AND b.outcome = 'new')
  AND NOT EXISTS (SELECT FROM {table} o JOIN imports i ON i.ledger_id = o.ledger_id
                    AND i.id = o.import_id AND i.status IN ('done', 'taking_back')
                  WHERE o.ledger_id = r.ledger_id AND o.{column} = r.{column}
                    AND o.import_id <> :import_id)"""  # noqa: S608 - our own names


_PARTS = text("""
SELECT min(id) AS first, max(id) AS last, count(*) AS rows
FROM (SELECT transaction_id AS id,
             (row_number() OVER (ORDER BY transaction_id) - 1) / 20000 AS part
      FROM import_rows WHERE ledger_id = :ledger_id AND import_id = :import_id) r
GROUP BY part ORDER BY part
""")

_TAKE_BACK = text(f"""
DELETE FROM transactions WHERE ledger_id = :ledger_id
  AND id IN ({_orphans("import_rows", "transaction_id")}
             AND r.transaction_id BETWEEN :first AND :last)
""")  # noqa: S608 - our own names

_TAKE_BACK_LINES = text(f"""
DELETE FROM reference_labels WHERE ledger_id = :ledger_id
  AND id IN ({_orphans("import_references", "reference_id")})
""")  # noqa: S608 - our own names

# The labels that these lines tied, unless a line that stays says the same.
_UNTIE = text(f"""
WITH gone AS ({_orphans("import_references", "reference_id")})
DELETE FROM transaction_labels k
USING reference_labels r, transactions t, labels l
WHERE r.ledger_id = :ledger_id AND r.id IN (SELECT reference_id FROM gone) AND r.type = 'tx'
  AND t.ledger_id = r.ledger_id AND t.txid = r.ref
  AND l.ledger_id = r.ledger_id AND lower(l.name) = lower(r.label)
  AND k.ledger_id = r.ledger_id AND k.transaction_id = t.id AND k.label_id = l.id
  AND NOT EXISTS (SELECT FROM reference_labels o WHERE o.ledger_id = r.ledger_id AND o.type = 'tx'
                  AND o.ref = r.ref AND lower(o.label) = lower(r.label)
                  AND o.id NOT IN (SELECT reference_id FROM gone))
""")  # noqa: S608 - our own names
