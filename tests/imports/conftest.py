"""What tests of imports share: a desk that imports files into the test's own ledger."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from freshledger.database import Database
from freshledger.imports import commands, preview, runner, uploads
from freshledger.imports.commands import Batch
from freshledger.imports.committing import Key
from freshledger.imports.files import measure, spool
from freshledger.imports.formats.own import csv_header, csv_line
from freshledger.imports.formats.records import Movement
from freshledger.settings import Settings

START = datetime(2024, 1, 31, 12, tzinfo=UTC)


def nothing(_done: int, _total: int) -> None:
    pass


def movement(identity: str, amount: str = "1", **more: Any) -> Movement:
    values: dict[str, Any] = {
        "line": 0,
        "identity": identity,
        "group_key": identity,
        "occurred_at": START,
        "type": "receive",
        "status": "confirmed",
        "asset": "ETH",
        "amount": Decimal(amount),
    }
    return Movement(**(values | more))


def many(count: int, **more: Any) -> list[Movement]:
    return [
        movement(
            f"row {n}", f"{n}.000000000000000001", occurred_at=START + timedelta(minutes=n), **more
        )
        for n in range(count)
    ]


class Desk:
    """Imports files as a command does, and looks at the rows as psql does."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        books: Any,
        folder: Path,
        psql: asyncpg.Connection,
    ) -> None:
        self.database, self.settings, self.books = database, settings, books
        self.folder, self.psql = folder, psql
        self.ledger_id = books.ledger_id
        self._files = 0

    def file(self, *movements: Movement) -> Path:
        return self.text(csv_header() + "".join(map(csv_line, movements)))

    def text(self, text: str, suffix: str = ".csv") -> Path:
        self._files += 1
        path = self.folder / f"file {self._files}{suffix}"
        path.write_text(text, newline="")
        return path

    async def stage(self, *files: Path, wallet: str = "Main", **answers: str) -> Key:
        batch = Batch(
            self.ledger_id, self.books.user_id, wallet, [measure(self.settings, f) for f in files]
        )
        async with self.database.write.begin() as session:
            import_id = await commands.stage_import(
                session, batch=batch, answers=answers, report=nothing
            )
        return Key(self.ledger_id, import_id)

    async def expected(self, key: Key) -> preview.Counts:
        async with self.database.read() as session:
            return await preview.count_outcomes(
                session, ledger_id=key.ledger_id, import_id=key.import_id
            )

    async def commit(self, key: Key, report: Any = nothing) -> dict[str, int]:
        async with self.database.write.begin() as session:
            await runner.claim_import(session, key)
        commit = runner.Commit(key, f"user:{self.books.user_id}")
        return await runner.run_import(self.database, commit, report)

    async def bring(self, *files: Path, **more: str) -> tuple[int, int, int]:
        """Import files; returns how many movements were new, there and updated."""
        counts = await self.commit(await self.stage(*files, **more))
        return counts["new"], counts["there"], counts["updated"]

    async def begun(self, key: Key) -> "asyncio.Task[dict[str, int]]":
        """Begin to commit, and return once the first part is written."""
        seen = asyncio.Event()
        task = asyncio.create_task(self.commit(key, lambda _done, _total: seen.set()))
        waiting = asyncio.create_task(seen.wait())
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if task.done():
            await task
        return task

    async def upload(self, *files: Path, wallet: str = "Main") -> tuple[Key, str]:
        """Open an import of these files as the pages do; returns its key and its spool."""
        with ExitStack() as stack:
            streams = [(file.name, stack.enter_context(file.open("rb"))) for file in files]
            token, sources = spool(self.settings, streams)
        batch = Batch(self.ledger_id, self.books.user_id, wallet, sources, token)
        async with self.database.write.begin() as session:
            import_id = await commands.open_import(session, batch=batch, answers={})
        return Key(batch.ledger_id, import_id), token

    async def read(self, key: Key, token: str) -> None:
        """Read an opened import as the task of a process does."""
        await uploads.run_upload(self.database, self.settings, key, actor="test", token=token)

    async def cancel(self, key: Key) -> None:
        async with self.database.write.begin() as session:
            await commands.cancel_import(session, key=key)

    async def take_back(self, key: Key) -> int:
        async with self.database.write.begin() as session:
            await runner.claim_taking_back(session, key)
        return await runner.run_taking_back(self.database, key, actor="test")

    async def rows(self, columns: str = "identity, occurrence, amount, status") -> list[Any]:
        found = await self.psql.fetch(
            f"SELECT {columns} FROM transactions WHERE ledger_id = $1 ORDER BY identity, occurrence",
            self.ledger_id,
        )
        return [tuple(row) for row in found]

    async def count(self, table: str = "transactions") -> int:
        return await self.psql.fetchval(
            f"SELECT count(*) FROM {table} WHERE ledger_id = $1", self.ledger_id
        )

    async def status(self, key: Key) -> str:
        return await self.psql.fetchval(
            "SELECT status FROM imports WHERE ledger_id = $1 AND id = $2",
            key.ledger_id,
            key.import_id,
        )

    async def labels(self) -> set[tuple[str, str]]:
        """The labels' names with the identities of the movements that wear them."""
        found = await self.psql.fetch(
            "SELECT l.name, t.identity FROM transaction_labels k"
            " JOIN labels l ON (l.ledger_id, l.id) = (k.ledger_id, k.label_id)"
            " JOIN transactions t ON (t.ledger_id, t.id) = (k.ledger_id, k.transaction_id)"
            " WHERE k.ledger_id = $1",
            self.ledger_id,
        )
        return {tuple(row) for row in found}


@pytest.fixture(name="movement")
def movement_fixture() -> Any:
    return movement


@pytest.fixture(name="many")
def many_fixture() -> Any:
    return many


@pytest.fixture
async def desk(
    settings: Settings, books: Any, tmp_path: Path, psql: asyncpg.Connection
) -> AsyncIterator[Desk]:
    assert settings.database_url
    database = Database(settings, settings.database_url)
    yield Desk(database, settings, books, tmp_path, psql)
    await database.dispose()


@pytest.fixture
async def other_desk(desk: Desk, psql: asyncpg.Connection) -> Desk:
    """A desk of the same user for another ledger."""
    ledger = await psql.fetchval("INSERT INTO ledgers (name) VALUES ('Other') RETURNING id")
    await psql.execute("INSERT INTO members VALUES ($1, $2, 'owner')", ledger, desk.books.user_id)
    other = Desk(desk.database, desk.settings, desk.books, desk.folder / "other", psql)
    other.folder.mkdir()
    other.ledger_id = ledger
    return other
