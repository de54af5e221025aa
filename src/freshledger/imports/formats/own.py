r"""freshledger's own CSV and JSON Lines: what the export writes, the import reads back equal.

Both have the same fields, in the order of FIELDS. Amounts are plain decimals (text in JSON),
times UTC with a Z, an empty cell or a missing field is no value. Labels are joined by `;` in
the CSV, `\` before a `;` or `\` that belongs to a name. A cell of text that a spreadsheet
might run as a formula begins with an apostrophe there, which the reader takes away again.
"""

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC
from decimal import Decimal
from io import StringIO
from typing import Any, BinaryIO

from freshledger.amounts import format_amount, parse_amount
from freshledger.chains import normalize_address, normalize_txid
from freshledger.errors import Invalid
from freshledger.imports.formats.csv_rows import Layout, Row, has_header, read_records
from freshledger.imports.formats.json_lines import has_object, read_objects
from freshledger.imports.formats.records import Format, Movement, Options, Record
from freshledger.imports.formats.values import LABEL_LIMIT, NAME_LIMIT, NOTE_LIMIT, utc_time
from freshledger.models.transactions import STATUSES, TYPES
from freshledger.text import clean_text

FIELDS = (
    "wallet", "own_address", "chain", "txid", "group_key", "occurred_at", "type", "status",
    "asset", "contract", "amount", "counterparty", "contact", "labels", "note", "fiat_value",
    "fiat_currency", "identity", "occurrence",
)  # fmt: skip
NEEDED = ("group_key", "occurred_at", "type", "status", "asset", "amount", "identity")
KEY_BYTES = 2000
"""Of an identity or group, as UTF-8: PostgreSQL indexes at most 2,704 bytes a row."""
WALLET_LIMIT = 200

_NUMBERS = frozenset({"amount", "fiat_value", "occurrence"})
_FORMULA = "=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20'"  # the last four are full-width
# Also behind `;` and line ends: a spreadsheet that splits at those sees a cell begin there.
_BEGINS = "(?:\\A|(?<=[;\t\r\n]))"
_UNSAFE = re.compile(f"{_BEGINS}(?=[{_FORMULA}])")
_MADE_SAFE = re.compile(f"{_BEGINS}'(?=[{_FORMULA}])")
_LAYOUT = Layout(
    {name: name for name in NEEDED}, {name: name for name in FIELDS if name not in NEEDED}
)


def csv_header() -> str:
    """Return the first line of our CSV, with its line end."""
    return ",".join(FIELDS) + "\r\n"


def csv_line(movement: Movement) -> str:
    """Write one line of our CSV, with its line end; no cell of it is a formula."""
    values = _values(movement)
    values["labels"] = ";".join(re.sub(r"([;\\])", r"\\\1", name) for name in movement.labels)
    line = StringIO()
    csv.writer(line).writerow(
        values[name] if name in _NUMBERS else make_safe(str(values[name] or "")) for name in FIELDS
    )
    return line.getvalue()


def json_line(movement: Movement) -> str:
    """Write one line of our JSON Lines, with its line end; amounts are text."""
    values = _values(movement)
    values["labels"] = list(movement.labels)
    return json.dumps({name: values[name] for name in FIELDS}, ensure_ascii=False) + "\n"


def _values(movement: Movement) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(movement, name) for name in FIELDS}
    moment = movement.occurred_at.astimezone(UTC).isoformat()
    values["occurred_at"] = moment.replace("+00:00", "Z")
    values["amount"] = format_amount(movement.amount)
    if movement.fiat_value is not None:
        values["fiat_value"] = format_amount(movement.fiat_value)
    return values


def make_safe(text: str) -> str:
    """Return a cell's text so that no spreadsheet takes it, or a part of it, for a formula."""
    return _UNSAFE.sub("'", text)


def make_plain(cell: str) -> str:
    """Undo `make_safe`, exactly."""
    return _MADE_SAFE.sub("", cell) if "'" in cell else cell


def parse_csv(file: BinaryIO, _options: Options) -> Iterator[Record]:
    """Read our own CSV."""
    return read_records(file, _LAYOUT, _csv_movement)


def parse_json_lines(file: BinaryIO, _options: Options) -> Iterator[Record]:
    """Read our own JSON Lines."""
    return read_objects(file, _json_movement)


def _csv_movement(row: Row) -> Iterator[Record]:
    cells = {
        name: text if name in _NUMBERS else make_plain(text)
        for name, place in row.header.places.items()
        if (text := row.cells[place].strip())
    }
    labels = _split_labels(cells.pop("labels", ""))
    yield _movement(row.line, cells, labels)


def _split_labels(text: str) -> tuple[str, ...]:
    if not text:
        return ()
    names, name, letters = [], "", iter(text)
    for letter in letters:
        if letter == ";":
            names.append(name)
            name = ""
        else:
            name += next(letters, "") if letter == "\\" else letter
    return tuple(one for one in (*names, name) if one)


def _json_movement(line: int, item: dict[str, Any]) -> Iterator[Record]:
    labels = item.get("labels") or []
    if not isinstance(labels, list) or not all(isinstance(name, str) for name in labels):
        raise Invalid("labels: this must be a list of names", field="labels")
    texts = {}
    for name in FIELDS:
        value = item.get(name)
        if value is None or name == "labels":
            continue
        if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
            raise Invalid(f"{name}: this must be text", field=name)
        texts[name] = str(value)
    yield _movement(line, texts, tuple(labels))


def _text(limit: int) -> Callable[..., str]:
    def read(text: str, *, field: str) -> str:
        cleaned = clean_text(text, limit=limit)
        if not cleaned:
            raise Invalid(f"{field}: it holds nothing that can be shown", field=field)
        return cleaned

    return read


def _key(text: str, *, field: str) -> str:
    """Read what names a row: never cut, or two rows would become one."""
    key = clean_text(text)
    if not key or len(key.encode()) > KEY_BYTES:
        raise Invalid(f"{field}: it must have 1 to {KEY_BYTES:,} bytes; shorten it", field=field)
    return key


def _one_of(known: tuple[str, ...]) -> Callable[..., str]:
    def read(text: str, *, field: str) -> str:
        if text not in known:
            raise Invalid(f"{field}: {text[:40]!r} is none of {', '.join(known)}", field=field)
        return text

    return read


_COUNT = re.compile(r"\d{1,9}", re.ASCII)


def _count(text: str, *, field: str) -> int:
    if not _COUNT.fullmatch(text):
        raise Invalid(f"{field}: {text[:40]!r} is not a count from 0", field=field)
    return int(text)


def _words(text: str, *, field: str) -> str:  # noqa: ARG001 - a reader's signature
    return clean_text(text, limit=NOTE_LIMIT, lines=True)


_READERS: Mapping[str, Callable[..., Any]] = {
    "identity": _key,
    "group_key": _key,
    "occurred_at": utc_time,
    "type": _one_of(TYPES),
    "status": _one_of(STATUSES),
    "asset": _text(NAME_LIMIT),
    "amount": parse_amount,
    "contract": normalize_address,
    "chain": _text(NAME_LIMIT),
    "txid": normalize_txid,
    "own_address": normalize_address,
    "counterparty": normalize_address,
    "fiat_value": parse_amount,
    "fiat_currency": _text(NAME_LIMIT),
    "note": _words,
    "wallet": _text(WALLET_LIMIT),
    "contact": _text(LABEL_LIMIT),
    "occurrence": _count,
}
"""How each field but the labels is read."""


def _movement(line: int, texts: Mapping[str, str], labels: tuple[str, ...]) -> Movement:
    for name in NEEDED:
        if not texts.get(name, "").strip():
            raise Invalid(f"{name}: this is empty; fill it in", field=name)
    values = {name: _READERS[name](text, field=name) for name, text in texts.items() if text}
    names = tuple(clean_text(name, limit=NAME_LIMIT) for name in labels if name.strip())
    movement = Movement(line=line, labels=names, **values)
    if movement.status == "failed" and movement.amount:
        raise Invalid("amount: what failed moved nothing; write 0", field="amount")
    return movement


def _is_ours(item: dict[str, Any]) -> bool:
    return all(name in item for name in NEEDED)


FORMATS = (
    Format(
        "freshledger-csv", "freshledger: CSV", lambda head: has_header(head, _LAYOUT), parse_csv
    ),
    Format(
        "freshledger-jsonl",
        "freshledger: JSON Lines",
        lambda head: has_object(head, _is_ours),
        parse_json_lines,
    ),
)
