"""Whether an answer holds the right rows: compared one by one with what plain SQL reads."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from html.parser import HTMLParser
from typing import Any

import asyncpg
import click
import msgspec

from freshledger.amounts import format_amount

TRUTH = """
SELECT t.id, trim_scale(t.amount)::text AS amount, w.name AS wallet, c.name AS contact,
  ARRAY(SELECT l.name FROM transaction_labels x
        JOIN labels l ON l.ledger_id = x.ledger_id AND l.id = x.label_id
        WHERE x.ledger_id = t.ledger_id AND x.transaction_id = t.id
        ORDER BY lower(l.name), l.id) AS labels
FROM transactions t
JOIN wallets w ON w.ledger_id = t.ledger_id AND w.id = t.wallet_id
LEFT JOIN contacts c ON c.ledger_id = t.ledger_id AND c.id = coalesce(t.contact_id, (
  SELECT a.contact_id FROM contact_addresses a
  WHERE a.ledger_id = t.ledger_id AND a.address = t.counterparty AND a.network = t.network))
WHERE t.ledger_id = $1 AND t.asset = $2
ORDER BY t.occurred_at DESC, t.id DESC LIMIT $3
"""
_ROW_ID = re.compile(r"row-(\d+)")


@dataclass(slots=True)
class Shown:
    """What an answer says of a movement; `amount` is exact, without zeros at its end."""

    id: int
    amount: str = ""
    wallet: str = ""
    contact: str | None = None
    labels: list[str] = field(default_factory=list)


async def read_truth(url: str, ledger_id: int, asset: str, limit: int) -> list[Shown]:
    """Read the newest rows of an asset, by plain SQL."""
    connection = await asyncpg.connect(url)
    try:
        return [Shown(**row) for row in await connection.fetch(TRUTH, ledger_id, asset, limit)]
    finally:
        await connection.close()


def rows_of_json(body: bytes) -> list[Shown]:
    """Return the rows of an answer in JSON, under the name that it uses for them."""
    answer = msgspec.json.decode(body)
    rows: list[dict[str, Any]] = next(value for value in answer.values() if isinstance(value, list))
    return [
        Shown(
            row["id"],
            _exact(row["amount"]),
            row["wallet"],
            row["contact"],
            [label["name"] for label in row["labels"]],
        )
        for row in rows
    ]


def rows_of_page(body: bytes) -> list[Shown]:
    """Return the rows of a page: `<tr id="row-…">`, its cells and labels told by their classes."""
    reader = _Reader()
    reader.feed(body.decode())
    return reader.rows


def compare(who: str, found: Sequence[Shown], expected: Sequence[Shown]) -> None:
    """Raise ClickException naming the first row that differs."""
    for place, (one, other) in enumerate(zip(found, expected, strict=False), 1):
        if one != other:
            raise click.ClickException(f"{who}: row {place} is {one}, not {other}")
    if len(found) != len(expected):
        raise click.ClickException(f"{who}: {len(found)} rows, not {len(expected)}")


def _exact(amount: object) -> str:
    """Return an amount as exact text; a number of JSON is none, for it may have been a float."""
    if not isinstance(amount, str):
        return f"{amount!r}, which is no text"
    try:
        return format_amount(Decimal(amount))
    except InvalidOperation:
        return f"{amount!r}, which is no number"


_CLASSES = {
    "m-amount": "amount",
    "m-wallet": "wallet",
    "address__contact": "contact",
    "label__name": "label",
}
"""What the text in an element of a class is."""

_VOID = frozenset({"input", "img", "br"})


class _Reader(HTMLParser):
    """Reads the rows of a page; texts of elements that are open within a row are gathered."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[Shown] = []
        self._open: list[tuple[str | None, list[str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a row, or an element in one."""
        given = dict(attrs)
        if tag == "tr" and (row := _ROW_ID.fullmatch(given.get("id") or "")):
            self.rows.append(Shown(int(row[1])))
            self._open = [(None, [])]
        elif self._open and tag not in _VOID:
            classes = (given.get("class") or "").split()
            kind = next((_CLASSES[one] for one in classes if one in _CLASSES), None)
            self._open.append((kind, []))

    def handle_data(self, data: str) -> None:
        """Give a text to all elements around it."""
        for _, texts in self._open:
            texts.append(data)

    def handle_endtag(self, tag: str) -> None:
        """End an element, and with the first one the row."""
        if not self._open or tag in _VOID:
            return
        kind, texts = self._open.pop()
        text = " ".join("".join(texts).split())
        if kind == "amount":
            plain = re.sub(r"[+\s]", "", text).replace("\N{MINUS SIGN}", "-")
            self.rows[-1].amount = _exact(plain)
        elif kind == "label":
            self.rows[-1].labels.append(text)
        elif kind:
            setattr(self.rows[-1], kind, text)
