"""Entries of a JSON document, one at a time: memory follows the largest entry, not the file.

Python's own decoder reads each entry; libraries that stream keep the path of every level
and can be made to take all memory with a hundred thousand brackets.
"""

import codecs
import json
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal, InvalidOperation
from typing import BinaryIO

from freshledger.errors import Invalid
from freshledger.imports.formats.records import Problem, Record, Unreadable

MAX_ENTRY = 1 << 23
"""Characters of one entry."""

_PIECE = 1 << 18
_SPACE = " \t\r\n"
_SAFE_DIGITS = 1000


def _number(text: str) -> int | Decimal:
    # int() refuses thousands of digits with an error that would end the file.
    return int(text) if len(text) < _SAFE_DIGITS else Decimal(text)


def _fraction(text: str) -> Decimal | str:
    try:
        return Decimal(text)
    except InvalidOperation:
        return text  # an exponent beyond Decimal's: whoever reads the amount says so


def _no_number(text: str) -> object:
    raise json.JSONDecodeError(f"{text} is not JSON", text, 0)


DECODER = json.JSONDecoder(parse_float=_fraction, parse_int=_number, parse_constant=_no_number)
"""Decodes numbers exactly; raises ValueError or RecursionError for what is no JSON."""


Entry = tuple[int, str, object]
"""An entry's number, the key of the member it stands in, and its value."""


class _Document:
    """A window on the text of the document; `entry` counts from 1 and stands in problems."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.text, self.at, self.entry, self.ended = file, "", 0, 1, False
        self.decoder = codecs.getincrementaldecoder("utf-8-sig")()

    def fail(self, message: str) -> Unreadable:
        return Unreadable(self.entry, message)

    def fill(self) -> None:
        """Read on: at least a piece, and as much again as is waiting."""
        raw = self.file.read(max(_PIECE, len(self.text) - self.at))
        self.ended = not raw
        try:
            more = self.decoder.decode(raw, final=self.ended)
        except UnicodeDecodeError as error:
            raise self.fail("the file is not UTF-8; export it again") from error
        self.text, self.at = self.text[self.at :] + more, 0

    def next_character(self) -> str:
        """Return the next character that is no space, without taking it; empty at the end."""
        while True:
            while self.at < len(self.text) and self.text[self.at] in _SPACE:
                self.at += 1
            if self.at < len(self.text):
                return self.text[self.at]
            if self.ended:
                return ""
            self.fill()

    def take(self, wanted: str) -> str:
        """Take one of the wanted characters."""
        found = self.next_character()
        if not found or found not in wanted:
            raise self.fail("the JSON is cut off or damaged here; export the file again")
        self.at += 1
        return found

    def value(self) -> object:
        """Take a whole value."""
        self.next_character()
        while True:
            try:
                value, end = DECODER.raw_decode(self.text, self.at)
            except RecursionError as error:
                raise self.fail("the JSON is nested too deeply to be an export") from error
            except ValueError as error:
                self._grow(error)
                continue
            if end == len(self.text) and not self.ended:
                self.fill()
                continue
            self.at = end
            return value

    def _grow(self, error: ValueError) -> None:
        if self.ended:
            message = "the JSON is cut off or damaged here; export the file again"
            raise self.fail(message) from error
        if len(self.text) - self.at > MAX_ENTRY:
            raise self.fail("this entry is too long, or no JSON; export again") from error
        self.fill()


def read_items(
    file: BinaryIO,
    lists: frozenset[str],
    read: Callable[[int, str, object], Iterable[Record]],
) -> Iterator[Record]:
    """Yield what `read` makes of each entry; its Invalid leaves the entry out as a Problem."""
    try:
        for number, key, item in read_entries(file, lists):
            try:
                records = list(read(number, key, item))
            except Invalid as error:
                records = [Problem(number, error.message, error.field)]
            yield from records
    except Unreadable as error:
        yield error.problem


def read_entries(file: BinaryIO, lists: frozenset[str]) -> Iterator[Entry]:
    """Yield the entries of the outer array (key empty) or object, numbered from 1.

    A member of the object that is named in `lists` and holds an array gives that array's
    entries, each with the member's key. Raises Unreadable where the document is no JSON.
    """
    document = _Document(file)
    if document.take("[{") == "[":
        yield from _array(document, "")
    else:
        for key in _keys(document):
            if key in lists and document.next_character() == "[":
                document.take("[")
                yield from _array(document, key)
            else:
                yield document.entry, key, document.value()
                document.entry += 1
    if document.next_character():
        raise document.fail("there is more after the end of the JSON; export the file again")


def _array(document: _Document, key: str) -> Iterator[Entry]:
    if document.next_character() == "]":
        document.take("]")
        return
    while True:
        yield document.entry, key, document.value()
        document.entry += 1
        if document.take(",]") == "]":
            return


def _keys(document: _Document) -> Iterator[str]:
    if document.next_character() == "}":
        document.take("}")
        return
    while True:
        if document.next_character() != '"':
            document.take('"')
        key = str(document.value())
        document.take(":")
        yield key
        if document.take(",}") == "}":
            return
