"""A document that is being made, and what all of its generated blocks are written with."""

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from freshledger.diagnosis.matrix import Matrix, Row
from freshledger.diagnosis.policy import Demonstration
from freshledger.errors import Invalid

SIGNS = {"yes": "●", "no": "○", "partly": "◐", "not observable": "—"}


@dataclass(frozen=True)
class Book:
    """A document with what it is made of.

    `titles` is what it calls each cause and group; `say` puts a sentence into its language.
    """

    matrix: Matrix
    demonstration: Demonstration
    titles: Mapping[str, str]
    say: Callable[[str], str]

    def row(self, name: str) -> Row:
        """Return a cause's row; raises Invalid if the record has none."""
        for row in self.matrix.rows:
            if row.id == name:
                return row
        raise Invalid(f"the record has nothing of {name}: freshledger diagnose --record docs")


def link_all(rows: Iterable[Row]) -> str:
    """Return links to the causes' sections."""
    return ", ".join(link(row.id) for row in rows) or "—"


def link(name: str) -> str:
    """Return a link to a cause's section."""
    return f"[{name}](#{name.lower()})"


def tabulate(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def wrap(text: str) -> str:
    """Return a paragraph in lines that are as wide as the documents' own."""
    return textwrap.fill(text, 110, break_long_words=False, break_on_hyphens=False)
