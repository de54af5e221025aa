"""Writes into docs/diagnosis.md, in each language, what was observed: everything generated there.

A block stands between `<!-- generated: NAME -->` and `<!-- end -->`. Its words are English here,
and translated where the document is another's; the causes are called what the document's own
headings call them.
"""

import re
from pathlib import Path

from freshledger.diagnosis import policy
from freshledger.diagnosis.blocks import BLOCKS
from freshledger.diagnosis.book import Book
from freshledger.diagnosis.documents_ru import RUSSIAN
from freshledger.diagnosis.matrix import Matrix, read_record
from freshledger.diagnosis.policy import Demonstration
from freshledger.errors import Invalid

DOCUMENTS = {"diagnosis.md": "en", "diagnosis.ru.md": "ru"}
"""The files in docs/ with their languages."""

BLOCK = re.compile(
    r"(?P<begin>^<!-- generated: (?P<name>.+?) -->\n)(?:.*?\n)??(?P<end><!-- end -->$)",
    re.DOTALL | re.MULTILINE,
)
HEADING = re.compile(r"^#### (?P<id>[A-H]\d)\. (?P<title>.+)$", re.MULTILINE)
GROUP = re.compile(r"^### 5\.(?P<id>[A-H])\. (?P<title>.+)$", re.MULTILINE)


def write(folder: Path) -> None:
    """Fill all blocks of the documents in `folder` from the record."""
    for name, language in DOCUMENTS.items():
        place = folder / name
        if place.exists():
            text = render(place.read_text(), language, read_record(), policy.read_record())
            place.write_text(text)


def render(text: str, language: str, matrix: Matrix, demonstration: Demonstration) -> str:
    """Return a document with all its blocks filled; raises Invalid where it cannot be."""
    titles = {found["id"]: found["title"] for found in HEADING.finditer(text)}
    titles |= {found["id"]: found["title"] for found in GROUP.finditer(text)}
    book = Book(matrix, demonstration, titles, _russian if language == "ru" else str)

    def fill(found: re.Match[str]) -> str:
        return f"{found['begin']}{_make(found['name'], book)}\n{found['end']}"

    return BLOCK.sub(fill, text)


def _russian(sentence: str) -> str:
    if sentence not in RUSSIAN:
        raise Invalid(f"documents_ru.py has no Russian for: {sentence}")
    return RUSSIAN[sentence]


def _make(name: str, book: Book) -> str:
    kind, _, argument = name.partition(":")
    if kind not in BLOCKS:
        raise Invalid(f"nobody knows how to generate “{name}”; there are {', '.join(BLOCKS)}")
    return BLOCKS[kind](book, argument.strip())
