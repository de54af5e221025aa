"""Rows of a CSV file as exporters and spreadsheets really write them, one at a time.

A byte order mark, commas or semicolons, LF or CRLF, lines before the header and more columns
than we know are all understood. What cannot be understood becomes a Problem with its line.
"""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO, TypeVar

import msgspec

from freshledger.errors import Invalid
from freshledger.imports.formats.lines import read_lines
from freshledger.imports.formats.records import Problem, Record, Unreadable
from freshledger.text import clean_text

LINES_BEFORE_HEADER = 20
NAME_LIMIT = 80
"""Characters of a column's name: problems quote it."""
Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Header:
    """Where the columns stand: `places` by key, `names` as in the file.

    `found` is the variable part of a name by key: `ETH` in `Value_IN(ETH)`.
    """

    line: int
    names: tuple[str, ...]
    places: dict[str, int]
    found: dict[str, str]


class Layout:
    """The columns of a format by key, each with the pattern of its names over the years."""

    def __init__(self, needed: dict[str, str], optional: dict[str, str] | None = None) -> None:
        self.needed = frozenset(needed)
        self.patterns = {
            key: re.compile(pattern, re.IGNORECASE)
            for key, pattern in {**needed, **(optional or {})}.items()
        }
        names = "|".join(f"(?:{pattern.pattern})" for pattern in self.patterns.values())
        self._any = re.compile(names, re.IGNORECASE)

    def match(self, cells: Sequence[str], line: int) -> Header | None:
        """Return the header these cells are, or None."""
        names = tuple(clean_text(cell, limit=NAME_LIMIT) for cell in cells)
        while names and not names[-1]:
            names = names[:-1]
        places: dict[str, int] = {}
        found: dict[str, str] = {}
        for key, pattern in self.patterns.items():
            for place, name in enumerate(names):
                if match := pattern.fullmatch(name):
                    places[key] = place
                    found[key] = "".join(match.groups(""))
                    break
        return Header(line, names, places, found) if self.needed <= places.keys() else None

    def names_column(self, cell: str) -> bool:
        """Say whether the cell is the name of a column."""
        return self._any.fullmatch(cell.strip()) is not None


class Row(msgspec.Struct, frozen=True):
    """One row; `line` is where it begins."""

    line: int
    cells: list[str]
    header: Header

    def name(self, key: str) -> str:
        """Return the column's name in this file."""
        return self.header.names[self.header.places[key]] if key in self.header.places else key

    def text(self, key: str) -> str:
        """Return the cell, stripped; empty where the file has no such column."""
        place = self.header.places.get(key)
        return "" if place is None else self.cells[place].strip()

    def read(self, key: str, reader: Callable[..., Read]) -> Read:
        """Read the cell by a reader of `values`, which names the column in its error."""
        return reader(self.text(key), field=self.name(key))


class _Source:
    """The lines after the header, for csv.reader; knows where it is and how the last ended."""

    def __init__(self, lines: Iterator[tuple[int, str]], line: int) -> None:
        self.lines, self.line, self.ended = lines, line, True

    def __iter__(self) -> Iterator[str]:
        for line, text in self.lines:
            self.line = line
            self.ended = text.endswith("\n")
            yield text


def find_header(lines: Iterable[tuple[int, str]], layout: Layout) -> tuple[Header, str] | None:
    """Return the header among the first lines, and the separator it is written with."""
    for line, text in lines:
        for separator in ",;":
            try:
                cells = next(csv.reader([text], delimiter=separator), [])
            except csv.Error:
                continue
            if header := layout.match(cells, line):
                return header, separator
        if line > LINES_BEFORE_HEADER:
            break
    return None


def has_header(head: bytes, layout: Layout) -> bool:
    """Say whether the beginning of a file has the layout's header."""
    try:
        return find_header(read_lines(BytesIO(head)), layout) is not None
    except Unreadable:
        return False


def read_records(
    file: BinaryIO, layout: Layout, read: Callable[[Row], Iterable[Record]]
) -> Iterator[Record]:
    """Yield what `read` makes of each row; its Invalid leaves the row out as a Problem."""
    try:
        for row in read_rows(file, layout):
            if isinstance(row, Problem):
                yield row
                continue
            try:
                records = list(read(row))
            except Invalid as error:
                records = [Problem(row.line, error.message, error.field)]
            yield from records
    except Unreadable as error:
        yield error.problem


def read_rows(file: BinaryIO, layout: Layout) -> Iterator[Row | Problem]:
    """Yield the rows below the header; raises Unreadable where the file ends for us."""
    lines = read_lines(file)
    known = find_header(lines, layout)
    if known is None:
        raise Unreadable(1, "there is no header of this format; choose another format")
    header, separator = known
    source = _Source(lines, header.line)
    reader = csv.reader(source, delimiter=separator, strict=True)
    while True:
        line = source.line + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield _broken(error, line, source)
            continue
        if cells is None:
            return
        if any(map(str.strip, cells)):
            yield _row(Row(line, cells, header), layout, source)


def _broken(error: csv.Error, line: int, source: _Source) -> Problem:
    if "unexpected end" in str(error) or source.line > line:
        raise Unreadable(
            line, "a quotation mark that opens here is never closed: the file is cut off or"
            " damaged; export it again"
        ) from error  # fmt: skip
    if "field larger" in str(error):
        return Problem(line, f"a cell is longer than {csv.field_size_limit():,} characters")
    return Problem(line, "the quotation marks of this line do not fit; correct or remove it")


def _row(row: Row, layout: Layout, source: _Source) -> Row | Problem:
    header, cells = row.header, row.cells
    width = len(header.names)
    if layout.names_column(cells[0]) and (second := layout.match(cells, row.line)):
        if second.names != header.names:
            raise Unreadable(
                row.line, "a second header with other columns: import the two files separately"
            )
        return Problem(row.line, "a second header: this line was left out, the rest is read")
    if len(cells) < width:
        missing = header.names[len(cells)]
        if not source.ended:
            raise Unreadable(row.line, "the last line is cut off; export the file again", missing)
        return Problem(row.line, f"{missing}: the line ends before this column", missing)
    if len(cells) > width and any(map(str.strip, cells[width:])):
        return Problem(row.line, f"{len(cells)} cells, but the header names {width} columns")
    return row
