"""Exports that are being made and those that wait to be fetched: rows, files and tasks."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger.database import AnyRow, Database
from freshledger.errors import AppError, Conflict, NotFound
from freshledger.imports import exporting
from freshledger.imports.exporting import FORMATS, Order
from freshledger.models import Export
from freshledger.settings import Settings

KEPT = timedelta(days=1)
"""How long a finished export can be fetched."""


class Cancelled(AppError):
    """Somebody cancelled the export."""

    code = "cancelled"


async def insert_export(
    session: AsyncSession, *, ledger_id: int, user_id: int, format_: str, query: str
) -> int:
    """Note an export that begins; returns its id."""
    values = {"ledger_id": ledger_id, "user_id": user_id, "format": format_, "query": query}
    made = await session.execute(insert(Export).values(values).returning(Export.id))
    return made.scalar_one()


async def get_export(
    session: AsyncSession, *, ledger_id: int, export_id: int, user_id: int
) -> AnyRow:
    """Return a user's own export; raises NotFound."""
    names = ("id", "format", "query", "status", "version", "done", "total", "error", "created_at")
    wanted = select(*(getattr(Export, name) for name in names), Export.finished_at)
    wanted = wanted.where(
        Export.ledger_id == ledger_id, Export.id == export_id, Export.user_id == user_id
    )
    found = (await session.execute(wanted)).one_or_none()
    if found is None:
        raise NotFound("there is no such export; make a new one")
    return found


async def move_export(
    session: AsyncSession, *, ledger_id: int, export_id: int, **values: object
) -> None:
    """Change an export that is being made; raises Conflict if it no longer is."""
    changed = await session.execute(
        update(Export)
        .where(Export.ledger_id == ledger_id, Export.id == export_id, Export.status == "making")
        .values(values)
        .returning(Export.id)
    )
    if changed.one_or_none() is None:
        raise Conflict("this export is no longer being made")


def file_of(settings: Settings, ledger_id: int, export_id: int) -> Path:
    """Return where an export's file is."""
    return settings.data_dir / "exports" / f"{ledger_id}-{export_id}"


def file_name(ledger: str, format_: str, version: int) -> str:
    """Name the file that a browser saves: ledger and version, in plain ASCII."""
    plain = "".join(c if c.isascii() and c.isalnum() else "-" for c in ledger)
    return f"{plain.strip('-')[:40] or 'ledger'}-v{version}.{FORMATS[format_][2]}"


async def run_export(database: Database, settings: Settings, order: Order, export_id: int) -> None:
    """Make an export's file; its row says how far it is and how it ended."""
    path = file_of(settings, order.ledger_id, export_id)
    key = {"ledger_id": order.ledger_id, "export_id": export_id}
    ended: dict[str, object] = {"status": "failed", "error": "it was interrupted; make it again"}
    await asyncio.to_thread(drop_old, settings)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with path.open("wb") as stream:
            version = await _write(database, order, export_id, stream)
        ended = {"status": "done", "version": version}
    except Conflict as error:
        raise Cancelled("the export was cancelled") from error
    except Exception as error:
        ended["error"] = str(error).splitlines()[0]
        raise
    finally:
        if ended["status"] != "done":
            path.unlink(missing_ok=True)
        await asyncio.shield(_end(database, key, ended))


async def _end(database: Database, key: dict[str, int], ended: dict[str, object]) -> None:
    async with database.write.begin() as session:
        await session.execute(
            update(Export)
            .where(
                Export.ledger_id == key["ledger_id"],
                Export.id == key["export_id"],
                Export.status == "making",
            )
            .values(finished_at=func.now(), **ended)
        )


async def _write(database: Database, order: Order, export_id: int, stream: IO[bytes]) -> int:
    key = {"ledger_id": order.ledger_id, "export_id": export_id}
    async with database.read() as session:
        await exporting.begin_snapshot(session)
        await session.execute(_ALIVE, {"name": f"export {order.ledger_id}/{export_id}"})
        version = await exporting.get_version(session, ledger_id=order.ledger_id)
        total = await exporting.count_rows(session, order)
        async for done in exporting.write_parts(session, order, stream=stream):
            async with database.write.begin() as noting:
                await move_export(noting, **key, done=done, total=total)
    return version


_ALIVE = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")


def drop_old(settings: Settings) -> None:
    """Remove the files of exports that can no longer be fetched; other processes may as well."""
    folder = settings.data_dir / "exports"
    oldest = (datetime.now(UTC) - KEPT).timestamp()
    for path in folder.iterdir() if folder.is_dir() else ():
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < oldest:
                path.unlink()
