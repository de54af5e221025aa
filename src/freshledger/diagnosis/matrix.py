"""The matrix: cause by what was observed; as a value, as JSON, and compared with the record.

The record, recorded.json, is a whole run that the documentation and the questions are made of.
"""

from collections.abc import Iterator, Mapping
from importlib.resources import files

import msgspec

from freshledger.diagnosis.cause import Cause, NotRun
from freshledger.diagnosis.looks import SEEN, Cell, Look

RECORD = files("freshledger.diagnosis") / "recorded.json"

COPIES = ("page", "wire", "truth", "answered", "flips")
"""What of the stale look is the same in every run."""


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """A cause with what was observed; `not_run` or `failure` say why nothing was."""

    id: str
    title: str
    fix: str
    engine: str = ""
    cells: Mapping[str, Cell] = {}
    not_run: str = ""
    failure: str = ""

    @property
    def stale(self) -> Look | None:
        """The look at the stale page that the row's first cells were read off."""
        seen = (self.cells[name].after for name in SEEN if name in self.cells)
        return next((look for look in seen if look), None)


class Matrix(msgspec.Struct, frozen=True):
    """All rows by id; `versions` names what was observed: servers and libraries."""

    rows: tuple[Row, ...]
    versions: Mapping[str, str]

    @property
    def observed(self) -> Iterator[Row]:
        """The rows that were run."""
        return (row for row in self.rows if row.cells)

    @property
    def failures(self) -> list[str]:
        """What did not work."""
        return [row.failure for row in self.rows if row.failure]


def make_row(
    cause: Cause | NotRun,
    *,
    cells: Mapping[str, Cell] | None = None,
    not_run: str = "",
    failure: str = "",
) -> Row:
    """Return the row of a cause with what was observed of it, or why nothing was."""
    if isinstance(cause, NotRun):
        return Row(cause.id, cause.title, cause.fix, not_run=cause.reason)
    return Row(cause.id, cause.title, cause.fix, cause.engine, cells or {}, not_run, failure)


def read_record() -> Matrix:
    """Return the run that the documentation is made of."""
    return msgspec.json.decode(RECORD.read_bytes(), type=Matrix)


def encode(matrix: Matrix) -> bytes:
    """Return it as JSON, indented."""
    return msgspec.json.format(msgspec.json.encode(matrix), indent=1) + b"\n"


def differences(matrix: Matrix, record: Matrix) -> list[str]:
    """Return a sentence for each thing observed that the documentation says otherwise of."""
    known = {row.id: row for row in record.observed}
    found = []
    for row in matrix.observed:
        if row.id not in known:
            found.append(f"{row.id}: the documentation has nothing of it")
            continue
        said = _said(known[row.id])
        for name, now in _said(row).items():
            if now != said.get(name):
                found.append(f"{row.id} {name}: {now}, and the documentation says {said.get(name)}")
    return found


def _said(row: Row) -> dict[str, object]:
    """Return what the documentation says of a row: its cells, and of the stale page the copies."""
    said: dict[str, object] = {name: cell.value for name, cell in row.cells.items()}
    for name in COPIES if row.stale else ():
        said[f"the stale page's {name}"] = getattr(row.stale, name)
    return said
