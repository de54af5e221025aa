"""Transactions and filters as the templates show them: texts, groups, addresses of links."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from itertools import groupby
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from msgspec.structs import asdict

from freshledger.amounts import format_amount
from freshledger.chains import CHAINS, display_address
from freshledger.errors import Invalid
from freshledger.models import STATUSES, TYPES
from freshledger.transactions.choices import Choices
from freshledger.transactions.filters import (
    EVERYTHING,
    NOT,
    RANGES,
    Args,
    Paging,
    Term,
    TransactionFilter,
)
from freshledger.transactions.periods import PRESETS
from freshledger.transactions.rows import Totals, TransactionRow
from freshledger.transactions.values import NONE

SHOWN_ASSETS = 50
"""Sums of more assets than these are only counted: spam makes thousands of them."""

TEXTS = ("counterparty", "address", "txid")
NONES = {"label": "no label", "contact": "no contact", "chain": "no chain"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a list's address asked for; where it is wrong, `problem` says so and the rest holds."""

    args: tuple[tuple[str, str], ...]
    where: TransactionFilter = EVERYTHING
    paging: Paging = field(default_factory=Paging)
    problem: Invalid | None = None

    @property
    def query(self) -> str:
        """The address's query string: what a form sends along to come back to the same page."""
        return urlencode(self.where.to_args() + self.paging.to_args())


def read_asked(args: Args, *, others: Sequence[str], page_size: int) -> Asked:
    """Read a list's query string; of a wrong one keep what is right."""
    pairs = tuple(args)
    try:
        where = TransactionFilter.from_args(pairs, others=others)
        return Asked(pairs, where, Paging.from_args(pairs, default_limit=page_size))
    except Invalid as error:
        right = [pair for pair in pairs if _is_right(pair)]
        return Asked(pairs, TransactionFilter.from_args(right), Paging(limit=page_size), error)


def _is_right(pair: tuple[str, str]) -> bool:
    try:
        TransactionFilter.from_args([pair])
    except Invalid:
        return False
    ranges = {name for sides in RANGES.values() for name in sides}
    return pair[0].removeprefix(NOT) not in ranges


def in_groups(
    rows: Sequence[TransactionRow], *, together: bool
) -> list[tuple[TransactionRow, str]]:
    """Return rows with their place in their group: start, middle, end, or "" if alone.

    `together` puts those of one group beside each other. Only rows of the very same time move:
    what arrived between the legs of a trade.
    """
    if together:
        rows = [row for _, same in groupby(rows, _moment) for row in _by_group(list(same))]
    placed: list[tuple[TransactionRow, str]] = []
    for _, same in groupby(rows, _group):
        group = list(same)
        places = ["start", *["middle"] * (len(group) - 2), "end"] if len(group) > 1 else [""]
        placed += zip(group, places, strict=True)
    return placed


def shown_row(row: TransactionRow, zone: ZoneInfo) -> dict[str, Any]:
    """Return a row with its texts."""
    moment = moment_text(row.occurred_at, zone)
    return asdict(row) | {
        "day": moment[:10],
        "hour": moment[11:16],
        "moment": moment,
        "amount_text": row.amount,
        "counterparty": display_address(row.counterparty) if row.counterparty else None,
        "own_address": display_address(row.own_address) if row.own_address else None,
        "contract": display_address(row.contract) if row.contract else None,
        "fiat_text": fiat_text(row),
    }


def moment_text(moment: datetime, zone: ZoneInfo) -> str:
    """Write a time in a zone, such as 2026-01-31 12:00:00 +01:00: to the second, or exactly."""
    local = moment.astimezone(zone).isoformat(" ")
    text = local[:26].rstrip("0") if moment.microsecond else local[:19]
    return f"{text} {local[-6:]}"


def fiat_text(row: TransactionRow) -> str | None:
    """Write what a movement was worth by its source, None where that said nothing."""
    if row.fiat_value is None:
        return None
    whole, point, fraction = row.fiat_value.partition(".")
    grouped = _THOUSANDS.sub(",", whole)
    return f"{grouped}{point}{fraction} {row.fiat_currency or ''}".strip()


_THOUSANDS = re.compile(r"(?<=\d)(?=(?:\d{3})+$)")


def span_text(rows: Sequence[TransactionRow], zone: ZoneInfo) -> str:
    """Say what stands on a page: how many rows, of which days."""
    if not rows:
        return ""
    count = f"{len(rows):,} transaction" + ("s" if len(rows) != 1 else "")
    moments = [row.occurred_at for row in rows]
    first, last = (end(moments).astimezone(zone).date().isoformat() for end in (min, max))
    return f"{count}, {first}" + (f" to {last}" if first != last else "")


def shown_totals(totals: Totals) -> dict[str, Any]:
    """Return count and sums as texts, the first assets by number of rows."""
    noun = "transaction" if totals.count == 1 else "transactions"
    hidden = len(totals.assets) - SHOWN_ASSETS
    return {
        "version": totals.version,
        "count": totals.count,
        "count_text": f"{totals.count:,} {noun}",
        "pending_text": f"{totals.pending_count:,} pending" if totals.pending_count else None,
        "more": f"and {hidden:,} more assets; filter by asset to see them" if hidden > 0 else None,
        "sums": [
            {
                "asset": total.asset,
                "contract": display_address(total.contract) if total.contract else None,
                "in_text": format_amount(total.money_in),
                "out_text": format_amount(total.money_out),
                "fee_text": format_amount(total.fees),
                "net_text": format_amount(total.net),
                "pending_text": format_amount(total.pending) if total.pending else None,
            }
            for total in totals.assets[:SHOWN_ASSETS]
        ],
    }


def address_of(base: str, where: TransactionFilter, paging: Paging | None = None) -> str:
    """Return the address of a list, without its place in it if `paging` is left out."""
    query = urlencode(where.to_args() + (paging.to_args() if paging else []))
    return f"{base}?{query}" if query else base


def shown_chips(
    asked: Asked, names: Mapping[tuple[str, str], str], base: str
) -> list[dict[str, Any]]:
    """Return what is filtered: each with the address of the list without it."""
    kept = Paging(asked.paging.sort, asked.paging.limit, default_limit=asked.paging.default_limit)
    return [
        {
            "text": chip.text,
            "negated": chip.term.negated,
            "remove_url": address_of(
                base,
                asked.where.without(chip.term.name, chip.term.value, chip.term.negated),
                kept,
            ),
        }
        for chip in asked.where.summary(names)
    ]


def controls(
    asked: Asked, choices: Mapping[str, Choices], names: Mapping[tuple[str, str], str]
) -> dict[str, Any]:
    """Return every control of the filter form with what is chosen in it.

    What the form has no control for (unwanted ranges and texts, second periods) is `hidden`.
    """
    args = _Given(asked)
    known: dict[str, Choices] = {
        **choices,
        "type": tuple((kind, kind.capitalize(), None) for kind in TYPES),
        "status": tuple((status, status.capitalize(), None) for status in STATUSES),
        "chain": tuple((chain.slug, chain.name, None) for chain in CHAINS.values()),
    }
    shown: dict[str, Any] = {
        name: _offer(name, options, names, args) for name, options in known.items()
    }
    for name in TEXTS:
        shown[name] = {"values": args.take(name), "not_values": args.take(NOT + name)}
    for sides in RANGES.values():
        for name in sides:
            shown[name] = args.take_first(name)
    shown["q"] = args.take_first("q")
    shown["hidden"] = args.left(asked.paging)
    return shown


class _Given:
    """The values of an address, taken by the controls that show them."""

    def __init__(self, asked: Asked) -> None:
        pairs = asked.args if asked.problem else asked.where.to_args()
        place = {"cursor", "at", "sort", "limit", "totals"}
        self._pairs = [(name, value) for name, value in pairs if name not in place]

    def take(self, name: str) -> list[str]:
        taken = [value for key, value in self._pairs if key == name]
        self._pairs = [pair for pair in self._pairs if pair[0] != name]
        return taken

    def take_first(self, name: str) -> str:
        for index, (key, value) in enumerate(self._pairs):
            if key == name:
                del self._pairs[index]
                return value
        return ""

    def left(self, paging: Paging) -> list[tuple[str, str]]:
        kept = Paging(paging.sort, paging.limit, default_limit=paging.default_limit)
        return self._pairs + kept.to_args()


@dataclass(frozen=True, slots=True)
class Offer:
    """The choices of a menu, and the values that are wanted (on) and not wanted (off)."""

    choices: Choices
    on: tuple[str, ...]
    off: tuple[str, ...]


def _offer(
    name: str, choices: Choices, names: Mapping[tuple[str, str], str], args: _Given
) -> Offer:
    """Return the choices, those first that are chosen but are not among them."""
    on, off = tuple(args.take(name)), tuple(args.take(NOT + name))
    if name in NONES:
        choices = ((NONE, NONES[name].capitalize(), None), *choices)
    offered = {value for value, _, _ in choices} if on or off else set()
    others = dict.fromkeys(value for value in (*on, *off) if value not in offered)
    missing = tuple((value, names.get((name, value), value), None) for value in others)
    return Offer((*missing, *choices), on, off)


@dataclass(frozen=True, slots=True)
class Preset:
    """A relative period, and the address of the list of that period alone."""

    text: str
    active: bool
    url: str


def presets(asked: Asked, base: str) -> tuple[Preset, ...]:
    """Return the relative periods to choose from."""
    paging = asked.paging
    return _presets(asked.where, base, paging.sort, paging.limit, paging.default_limit)


@lru_cache(256)
def _presets(
    where: TransactionFilter, base: str, sort: str, limit: int, default_limit: int
) -> tuple[Preset, ...]:
    kept = Paging(sort, limit, default_limit=default_limit)
    others = [term for term in where.terms if term.name != "dates" or term.negated]
    chosen = where.values("dates")
    period = {preset: f"{preset}/{preset}" for preset in PRESETS}
    return tuple(
        Preset(
            text,
            period[preset] in chosen,
            address_of(base, TransactionFilter((*others, Term("dates", period[preset]))), kept),
        )
        for preset, text in PRESETS.items()
    )


def _moment(row: TransactionRow) -> datetime:
    return row.occurred_at


def _group(row: TransactionRow) -> str:
    return row.group_key


def _by_group(rows: list[TransactionRow]) -> Iterable[TransactionRow]:
    order = {key: place for place, key in enumerate(dict.fromkeys(r.group_key for r in rows))}
    return sorted(rows, key=lambda row: order[row.group_key])
