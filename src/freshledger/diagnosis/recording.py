"""Makes the record of a run: small, and the same whenever nothing else was observed.

What differs from run to run is numbered in the order in which a trial shows it, from the stale
look on: processes, threads, connections and when their transactions began. Which of several
workers answered is left out. Other times are T, paths begin in FOLDER.
"""

import re
from collections import defaultdict
from collections.abc import Hashable
from pathlib import Path

import msgspec
from msgspec.structs import replace

from freshledger.diagnosis.looks import SEEN, Cell, Look
from freshledger.diagnosis.matrix import RECORD, Matrix, Row
from freshledger.errors import Invalid

FOLDER = re.compile(r"[^\s'\"(]*freshledger-diagnose-\w+")
CONNECTION = re.compile(r"\b(backend|connection) (\d+)")
MOMENT = r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?:[+-]\d\d(?::?\d\d)?|Z)?"
SINCE = re.compile(f"since ({MOMENT})")
TIME = re.compile(rf"datetime\.datetime\((?:[^()]|\([^()]*\))*\)|{MOMENT}")
UNIQUE = re.compile(r"\b[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\b")


class _Names:
    """The numbers that stand for what a trial shows."""

    def __init__(self, *, workers: bool) -> None:
        self._workers = workers
        self._seen: dict[str, dict[Hashable, int]] = defaultdict(dict)

    def number(self, kind: str, value: Hashable) -> int:
        seen = self._seen[kind]
        return seen.setdefault(value, len(seen) + 1)

    def text(self, text: str) -> str:
        text = SINCE.sub(lambda found: f"since T{self.number('time', found[1])}", text)
        text = CONNECTION.sub(lambda found: f"{found[1]} {self.number(found[1], found[2])}", text)
        return UNIQUE.sub("U", TIME.sub("T", FOLDER.sub("FOLDER", text)))

    def _thread(self, look: Look) -> int:
        return self.number("thread", (look.process, look.thread))

    def look(self, look: Look) -> Look:
        return replace(
            look,
            truth_by=self.text(look.truth_by),
            process=0 if self._workers else self.number("process", look.process),
            thread="" if self._workers else f"thread {self._thread(look)}",
            sent=tuple(
                {name: self.text(value) for name, value in sent.items()} for sent in look.sent
            ),
        )


def make_record(matrix: Matrix) -> Matrix:
    """Return what of a run is kept: each cause's stale look, and the one after each cure."""
    return Matrix(tuple(map(_row, matrix.rows)), dict(sorted(matrix.versions.items())))


def _row(row: Row) -> Row:
    workers = bool(row.stale and row.stale.flips)
    kept = {name: _cell(cell, _Names(workers=workers)) for name, cell in row.cells.items()}
    if row.stale:
        kept |= {name: replace(kept[name], after=None) for name in SEEN}
        stale = _Names(workers=workers).look(row.stale)
        kept[SEEN[0]] = replace(kept[SEEN[0]], after=stale)
    return replace(row, cells=kept)


def _cell(cell: Cell, names: _Names) -> Cell:
    if cell.before:
        names.look(cell.before)
    return replace(cell, before=None, after=names.look(cell.after) if cell.after else None)


def write_record(matrix: Matrix) -> None:
    """Write the record into the source tree; raises Invalid where there is none, or rows lack."""
    place = Path(str(RECORD))
    if not (place.parents[3] / "pyproject.toml").exists():
        raise Invalid("only in a checkout of freshledger's source can a run be recorded")
    place.write_bytes(encode_record(make_record(matrix)))


def encode_record(record: Matrix) -> bytes:
    """Return it as JSON, a line for each cause."""
    versions = msgspec.json.encode(record.versions)
    rows = b",\n".join(map(msgspec.json.encode, record.rows))
    return b'{"versions":' + versions + b',"rows":[\n' + rows + b"\n]}\n"
