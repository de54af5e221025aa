"""Reads files in batches of rows for COPY; memory does not grow with the file."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec

from freshledger.errors import Invalid
from freshledger.imports.formats.records import Movement, Record, ReferenceLabel

BATCH = 10_000

COLUMNS = (
    "ledger_id", "import_id", "file_id", "n", "line", "kind", "wallet_id", "identity",
    "occurrence", "group_key", "occurred_at", "type", "status", "asset", "contract", "amount",
    "chain", "txid", "own_address", "counterparty", "contact", "fiat_value", "fiat_currency",
    "note", "labels", "detail",
)  # fmt: skip
"""The columns of staged_rows in the order of the rows made here.

`detail` holds a reference or a problem; that of a movement whose file gave its occurrence is
empty, else NULL.
"""

Row = tuple[Any, ...]

_NOTHING = (None,) * 18
_json = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True, slots=True)
class Place:
    """Where staged rows belong; `wallet_id` is that of movements that name none."""

    ledger_id: int
    import_id: int
    file_id: int
    file_name: str
    wallet_id: int


def next_batch(records: Iterator[Record]) -> list[Record]:
    """Take the next records; the empty list at the end. Blocking."""
    return list(islice(records, BATCH))


def wallet_names(batch: Iterable[Record]) -> set[str]:
    """Return the wallets that movements of the batch name."""
    return {record.wallet for record in batch if isinstance(record, Movement) and record.wallet}


def staged_rows(
    batch: Iterable[Record], place: Place, start: int, wallets: Mapping[str, int]
) -> list[Row]:
    """Turn records into rows, numbered from `start`.

    Raises Invalid, naming file, line and column, for a problem that ends the file.
    """
    return [_row(record, place, n, wallets) for n, record in enumerate(batch, start)]


def _row(record: Record, place: Place, n: int, wallets: Mapping[str, int]) -> Row:
    at = (place.ledger_id, place.import_id, place.file_id, n, record.line)
    if isinstance(record, Movement):
        return at + _movement(record, place, wallets)
    if isinstance(record, ReferenceLabel):
        detail = {
            name: getattr(record, name)
            for name in ("type", "ref", "label", "origin", "spendable", "extra")
        }
        return (*at, "reference", place.wallet_id, *_NOTHING, _json.encode(detail).decode())
    if record.fatal:
        where = (place.file_name, record.line, record.column)
        raise Invalid(sentence_of(*where, record.message), field="files")
    detail = {"message": record.message, "column": record.column}
    return (*at, "problem", place.wallet_id, *_NOTHING, _json.encode(detail).decode())


def _movement(record: Movement, place: Place, wallets: Mapping[str, int]) -> Row:
    return (
        "movement",
        wallets[record.wallet] if record.wallet else place.wallet_id,
        record.identity,
        record.occurrence or 0,
        record.group_key,
        record.occurred_at,
        record.type,
        record.status,
        record.asset,
        record.contract,
        record.amount,
        record.chain,
        record.txid,
        record.own_address,
        record.counterparty,
        record.contact,
        record.fiat_value,
        record.fiat_currency,
        record.note,
        list(record.labels) or None,
        None if record.occurrence is None else "{}",
    )


def sentence_of(file: str, line: int, column: str | None, message: str) -> str:
    """Say where a problem is and what it is."""
    place = f", column {column}" if column else ""
    return f"{file}, line {line}{place}: {message}"
