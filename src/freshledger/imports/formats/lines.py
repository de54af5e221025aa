"""Lines of a text file: UTF-8, one at a time, numbered, of bounded length."""

import codecs
from collections.abc import Iterator
from typing import BinaryIO

from freshledger.imports.formats.records import Unreadable

MAX_LINE = 1 << 20
"""Bytes; no export has longer lines, and memory must not depend on the file."""

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_lines(file: BinaryIO) -> Iterator[tuple[int, str]]:
    """Yield each line's 1-based number and its text with its line end; a BOM is left out.

    Raises Unreadable, naming line and byte, for other encodings, NUL bytes and endless lines.
    """
    number = 0
    while raw := file.readline(MAX_LINE + 1):
        number += 1
        if number == 1:
            raw = raw.removeprefix(codecs.BOM_UTF8)
        if len(raw) > MAX_LINE:
            raise Unreadable(
                number, f"this line is longer than {MAX_LINE:,} bytes; export the file again"
            )
        yield number, _decode(raw, number)


def _decode(raw: bytes, number: int) -> str:
    if number == 1 and raw.startswith(_UTF16):
        raise Unreadable(1, "the file is UTF-16; save it as UTF-8 (in Excel: “CSV UTF-8”)")
    if b"\0" in raw:
        at = raw.index(b"\0") + 1
        raise Unreadable(
            number, f"byte {at} is a NUL byte: the file is damaged or no UTF-8; export it again"
        )
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise Unreadable(
            number, f"byte {error.start + 1} is not UTF-8; save the file as UTF-8 and try again"
        ) from error
