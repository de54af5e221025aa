"""JSON Lines: one object a line, numbers exact."""

from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from typing import Any, BinaryIO

from freshledger.errors import Invalid
from freshledger.imports.formats.csv_rows import LINES_BEFORE_HEADER
from freshledger.imports.formats.json_stream import DECODER
from freshledger.imports.formats.lines import read_lines
from freshledger.imports.formats.records import Problem, Record, Unreadable


def read_objects(
    file: BinaryIO, read: Callable[[int, dict[str, Any]], Iterable[Record]]
) -> Iterator[Record]:
    """Yield what `read` makes of each line's object; its Invalid leaves the line out."""
    try:
        for line, text in read_lines(file):
            if not text.strip():
                continue
            try:
                records = list(read(line, _object(line, text)))
            except Invalid as error:
                records = [Problem(line, error.message, error.field)]
            yield from records
    except Unreadable as error:
        yield error.problem


def _object(line: int, text: str) -> dict[str, Any]:
    try:
        value = DECODER.decode(text.strip())
    except (ValueError, RecursionError) as error:
        if not text.endswith("\n") and text.lstrip().startswith("{"):
            raise Unreadable(line, "the last line is cut off; export the file again") from error
        raise Invalid("this line is no JSON; correct or remove it") from error
    if not isinstance(value, dict):
        raise Invalid("this line is not a JSON object; correct or remove it")
    return value


def has_object(head: bytes, fits: Callable[[dict[str, Any]], bool]) -> bool:
    """Say whether one of the first lines is an object that fits."""
    try:
        for line, text in read_lines(BytesIO(head)):
            try:
                if fits(_object(line, text)):
                    return True
            except Invalid:
                pass  # the next line may be one
            if line > LINES_BEFORE_HEADER:
                break
    except Unreadable:
        return False
    return False
