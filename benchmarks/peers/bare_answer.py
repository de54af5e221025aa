"""From what freshledger's statements return to the bytes it answers: the place that follows it."""

from collections.abc import Sequence

import asyncpg
import msgspec

from freshledger.paging import Cursor, microseconds, page_of
from freshledger.transactions.rows import Document, read_row
from freshledger.transactions.shapes import page_out

ROWS = 50
NEWEST = "-time"
Answers = Sequence[Sequence[asyncpg.Record]]


def version_of(answers: Answers) -> int:
    """Return the version of the ledger that the answers show."""
    return int(answers[-1][0]["ledger_version"])


def body_of(answers: Answers, ledger_id: int) -> bytes:
    """Return the answer's body; `answers` are those of the statements, in their order."""
    page = page_of(
        [Document(record["document"]) for record in answers[-1]],
        cursor=Cursor(),
        limit=ROWS,
        behind=False,
        scope=f"{ledger_id}:{NEWEST}",
        key=_place,
    )
    return msgspec.json.encode(page_out(page, version_of(answers), None))


def _place(document: Document) -> tuple[str, str]:
    row = read_row(document)
    return microseconds(row.occurred_at), str(row.id)
