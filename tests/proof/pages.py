"""Reads what answers show: JSON of the API, and the transactions page as a browser has it."""

import html
import re
from collections.abc import Iterator
from typing import Any

from proof.records import Row, Shown, plain

MARKED = re.compile(r"<tr id=\"row-(\d+)\"[^>]*? data-version=\"(\d+)\".*?</tr>", re.DOTALL)
NOTE = re.compile(r"class=\"note\"[^>]*><bdi>(.*?)</bdi>", re.DOTALL)
LABEL = re.compile(r"<bdi class=\"label__name\"[^>]*>(.*?)</bdi>", re.DOTALL)
AMOUNT = re.compile(r"<td class=\"m-amount[^>]*>(.*?)</td>", re.DOTALL)
COUNT = re.compile(r"data-count=\"([\d,]+)")
NET = re.compile(
    r"<tr><th scope=\"row\">(.*?)</th>.*?<td[^>]*data-label=\"Net\">(.*?)</td>", re.DOTALL
)
TAG = re.compile(r"<[^>]+>")


def row_of(transaction: dict[str, Any]) -> Row:
    """A movement of the API."""
    labels = tuple(sorted(label["name"] for label in transaction["labels"]))
    amount = plain(transaction["amount"])
    return Row(transaction["version"], transaction["note"], amount, labels)


def shown_list(body: dict[str, Any], version: int) -> Shown:
    """A list of the API; it is whole where no page follows."""
    rows = {one["id"]: row_of(one) for one in body["transactions"]}
    whole = body["next"] is None and body["previous"] is None
    count, sums = _totals(body["totals"]) if "totals" in body else (None, None)
    return Shown(version, rows, whole, count, sums)


def shown_row(body: dict[str, Any], version: int) -> Shown:
    return Shown(version, {body["id"]: row_of(body)})


def shown_totals(body: dict[str, Any], version: int) -> Shown:
    count, sums = _totals(body)
    return Shown(version, count=count, sums=sums)


def _totals(body: dict[str, Any]) -> tuple[int, dict[str, str]]:
    return body["count"], {one["asset"]: plain(one["net"]) for one in body["assets"]}


def shown_page(text: str, version: int) -> Shown:
    """The transactions page or its body, asked for with totals and more rows than there are."""
    count = COUNT.search(text)
    sums = {_text(asset): _number(net) for asset, net in NET.findall(text)}
    rows = dict(_rows(text))
    if not rows or count is None:
        raise AssertionError(f"this is no page with rows and totals: {text[:400]}")
    return Shown(version, rows, whole=True, count=int(count[1].replace(",", "")), sums=sums)


def _rows(text: str) -> Iterator[tuple[int, Row]]:
    for found in MARKED.finditer(text):
        row = found[0]
        note, amount = NOTE.search(row), AMOUNT.search(row)
        assert amount, row
        labels = tuple(sorted(map(_text, LABEL.findall(row))))
        said = _text(note[1]) if note else ""
        yield int(found[1]), Row(int(found[2]), said, _number(amount[1]), labels)


def _text(marked: str) -> str:
    return html.unescape(TAG.sub("", marked)).strip()


def _number(marked: str) -> str:
    return plain("".join(_text(marked).split()).lstrip("+"))
