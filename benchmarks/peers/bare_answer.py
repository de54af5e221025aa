"""From what freshledger's statements return to the bytes it answers: the place that follows it."""

from collections.abc import Sequence
from typing import Any

import asyncpg
import msgspec

from freshledger.paging import Cursor, page_of
from freshledger.transactions import lists
from freshledger.transactions.shapes import page_out

ROWS = 50
NEWEST = "-time"

Answers = Sequence[Sequence[asyncpg.Record]]


class _Record:
    """An asyncpg record as freshledger reads one of SQLAlchemy's."""

    def __init__(self, record: asyncpg.Record) -> None:
        self._mapping = record

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - a column's value
        return self._mapping[name]


async def learn_types(connection: asyncpg.Connection) -> None:
    """Let a connection of the pool read JSON."""
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=str, decoder=msgspec.json.decode
    )


def version_of(answers: Answers) -> int:
    """Return the version of the ledger that the answers show."""
    return int(answers[-1][0]["ledger_version"])


def body_of(answers: Answers, ledger_id: int) -> bytes:
    """Return the answer's body; `answers` are those of the statements, in their order."""
    records = answers[-1]
    rows = [lists.as_row(_Record(record)) for record in records]
    page = page_of(
        rows,
        cursor=Cursor(),
        limit=ROWS,
        behind=False,
        scope=f"{ledger_id}:{NEWEST}",
        key=lists._key(by_amount=False),  # noqa: SLF001 - it follows what is inside
    )
    return msgspec.json.encode(page_out(page, version_of(answers), None))
