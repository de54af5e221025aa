"""What the transactions page and its API can be asked for: frozen values, no SQL.

Names in the URL: wallet, address (own), counterparty (whole, or a prefix `0xabc*`), contact,
type, asset (symbol or contract), chain, label, status, txid, q; from and to; min_amount and
max_amount. Each repeats for OR and takes `not.` for exclusion; different names are ANDed. The
first `from` belongs to the first `to`, and so on: a pair is one period; so with amounts,
which are absolute.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from freshledger.errors import Invalid
from freshledger.paging import DEFAULT_LIMIT, parse_limit
from freshledger.transactions.periods import PRESETS, Clock, parse_bound
from freshledger.transactions.values import NONE, PARSERS, parse_size

RANGES = {"dates": ("from", "to"), "amounts": ("min_amount", "max_amount")}
"""A term's name for a range, and the two names it has in the URL."""

NAMES = (*PARSERS, "dates", "amounts")
URL_NAMES = (*PARSERS, *(name for pair in RANGES.values() for name in pair))
SORTS = ("-time", "time", "-amount", "amount")
PAGING = ("sort", "limit", "cursor", "at")
MAX_TERMS = 100
NOT = "not."

Args = Iterable[tuple[str, str]]
"""Pairs of a query string, in its order: `request.args.items(multi=True)`."""


@dataclass(frozen=True, slots=True, order=True)
class Term:
    """One wanted (or unwanted) value in its canonical form; a range's is `low/high`."""

    name: str
    value: str
    negated: bool = False

    def to_args(self, *, paired: bool = False) -> list[tuple[str, str]]:
        """Return the term as query pairs; `paired` keeps a range's open side as well."""
        mark = NOT if self.negated else ""
        if self.name not in RANGES:
            return [(mark + self.name, self.value)]
        sides = zip(RANGES[self.name], self.value.split("/"), strict=True)
        return [(mark + name, side) for name, side in sides if side or paired]


@dataclass(frozen=True, slots=True)
class Chip:
    """A term as people read it, for a chip that `without(*chip.term)` takes away."""

    term: Term
    text: str


@dataclass(frozen=True, slots=True)
class TransactionFilter:
    """A set of terms in canonical order, without repetitions: equal sets are equal filters."""

    terms: tuple[Term, ...] = ()

    def __post_init__(self) -> None:
        """Put the terms in order; raises Invalid for more than 100."""
        terms = sorted(set(self.terms), key=lambda t: (NAMES.index(t.name), t.negated, t.value))
        if len(terms) > MAX_TERMS:
            name = terms[MAX_TERMS].name
            raise Invalid(f"{name}: at most {MAX_TERMS} values can be asked for", field=name)
        object.__setattr__(self, "terms", tuple(terms))

    @classmethod
    def from_args(cls, args: Args, *, others: Iterable[str] = ()) -> "TransactionFilter":
        """Read a query string; empty values count as left out.

        Raises Invalid naming the parameter, also for one that is neither a filter's nor in
        `others`.
        """
        known, terms, sides = frozenset(others), [], _sides()
        for key, value in args:
            name = key.removeprefix(NOT)
            if (name, key != name) in sides:
                sides[name, key != name].append(value.strip())
            elif name in PARSERS:
                if value.strip():
                    terms.append(Term(name, PARSERS[name](value.strip(), key), key != name))
            elif key not in known:
                raise Invalid(f"{key[:60]!r} is not a parameter of this address", field=key[:60])
        return cls((*terms, *_ranges(sides)))

    def to_args(self) -> list[tuple[str, str]]:
        """Return the query pairs of this filter: `from_args` of them is equal to it."""
        pairs: list[tuple[str, str]] = []
        for term in self.terms:
            alike = [t for t in self.terms if (t.name, t.negated) == (term.name, term.negated)]
            pairs += term.to_args(paired=len(alike) > 1)
        return pairs

    def values(self, name: str, *, negated: bool = False) -> tuple[str, ...]:
        """Return the values wanted (or unwanted) for a term's name."""
        return tuple(t.value for t in self.terms if (t.name, t.negated) == (name, negated))

    def adding(self, name: str, value: str, *, negated: bool = False) -> "TransactionFilter":
        """Return the filter with one more value, for example from a click on a cell."""
        mark = NOT if negated else ""
        return replace(self, terms=(*self.terms, *self.from_args([(mark + name, value)]).terms))

    def without(self, name: str, value: str, negated: bool = False) -> "TransactionFilter":  # noqa: FBT001, FBT002 - a term's own three values
        """Return the filter without one term."""
        gone = Term(name, value, negated)
        return replace(self, terms=tuple(term for term in self.terms if term != gone))

    def summary(self, names: Mapping[tuple[str, str], str] | None = None) -> list[Chip]:
        """Describe the terms; `names` tells what ids of wallets, contacts and labels are called."""
        return [Chip(term, _text(term, names or {})) for term in self.terms]

    @property
    def is_relative(self) -> bool:
        """Whether the result depends on the day it is asked on."""
        bounds = (side for t in self.terms if t.name == "dates" for side in t.value.split("/"))
        return any(side in PRESETS for side in bounds)


EVERYTHING = TransactionFilter()


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page of a list: its order, size, and place (`cursor`, or `at` a date).

    The order by amount is by abs(amount), then time, then id.
    """

    sort: str = SORTS[0]
    limit: int = DEFAULT_LIMIT
    cursor: str | None = None
    at: str | None = None
    default_limit: int = field(default=DEFAULT_LIMIT, compare=False, repr=False)

    @classmethod
    def from_args(cls, args: Args, *, default_limit: int = DEFAULT_LIMIT) -> "Paging":
        """Read a query string's sort, limit, cursor and at; raises Invalid naming the one.

        `at` is a date, time or preset to jump to; the cursor itself is read by the list.
        """
        given = {name: value.strip() for name, value in args if name in PAGING and value.strip()}
        sort = given.get("sort", SORTS[0])
        if sort not in SORTS:
            raise Invalid(f"sort: must be one of {', '.join(SORTS)}", field="sort")
        if "at" in given and not sort.endswith("time"):
            raise Invalid("at: only a list in the order of time has a date to go to", field="at")
        if "at" in given and "cursor" in given:
            raise Invalid("at: a cursor is a place already; leave one of them out", field="at")
        at = parse_bound(given["at"], field="at") if "at" in given else None
        limit = parse_limit(given.get("limit"), default=default_limit)
        return cls(sort, limit, given.get("cursor"), at, default_limit)

    def to_args(self) -> list[tuple[str, str]]:
        """Return the query pairs, defaults left out."""
        limit = None if self.limit == self.default_limit else str(self.limit)
        sort = None if self.sort == SORTS[0] else self.sort
        pairs = (("sort", sort), ("limit", limit), ("cursor", self.cursor), ("at", self.at))
        return [(name, value) for name, value in pairs if value]


@dataclass(frozen=True, slots=True)
class Preview:
    """How many transactions a selection held when its user saw it, and their digest."""

    count: int
    digest: str


@dataclass(frozen=True, slots=True)
class Selection:
    """The transactions an edit is for: by `ids`, by `group_key`, or all that `where` lets in.

    With a `seen` the edit is done only if the set is still exactly that one.
    """

    ids: tuple[int, ...] | None = None
    group_key: str | None = None
    where: TransactionFilter | None = None
    clock: Clock | None = None
    seen: Preview | None = None


def _sides() -> dict[tuple[str, bool], list[str]]:
    names = [name for pair in RANGES.values() for name in pair]
    return {(name, negated): [] for name in names for negated in (False, True)}


def _ranges(sides: dict[tuple[str, bool], list[str]]) -> Iterable[Term]:
    """Pair the lower with the upper bounds in the order they came."""
    for name, (low, high) in RANGES.items():
        for negated in (False, True):
            mark = NOT if negated else ""
            lows, highs = sides[low, negated], sides[high, negated]
            if len(lows) != len(highs):
                lows, highs = [v for v in lows if v], [v for v in highs if v]
            lows, highs = lows or [""] * len(highs), highs or [""] * len(lows)
            if len(lows) != len(highs):
                wrong = mark + (high if len(highs) < len(lows) else low)
                raise Invalid(
                    f"{wrong}: give as many {low} as {high}, or only one kind", field=wrong
                )
            for pair in zip(lows, highs, strict=True):
                if any(pair):
                    yield Term(name, _range(name, pair, mark), negated)


def _range(name: str, pair: tuple[str, str], mark: str) -> str:
    parse = _date_bound if name == "dates" else parse_size
    keys = [mark + key for key in RANGES[name]]
    low, high = (parse(value, key) if value else "" for key, value in zip(keys, pair, strict=True))
    if low and high and _is_reversed(name, low, high):
        raise Invalid(f"{keys[1]}: {high} is before {keys[0]}, {low}", field=keys[1])
    return f"{low}/{high}"


def _date_bound(text: str, key: str) -> str:
    return parse_bound(text, field=key)


def _is_reversed(name: str, low: str, high: str) -> bool:
    """Tell whether nothing can be in a range; bounds of different kinds depend on the zone."""
    if name == "amounts":
        return Decimal(low) > Decimal(high)
    return len(low) == len(high) == len("2024-01-31") and low[0].isdigit() and low > high


def _text(term: Term, names: Mapping[tuple[str, str], str]) -> str:
    if term.name == "dates":
        return _period_text(*term.value.split("/"))
    if term.name == "amounts":
        low, high = term.value.split("/")
        return " and ".join(
            f"{word} {side}" for word, side in (("at least", low), ("at most", high)) if side
        )
    if term.value == NONE:
        return f"no {term.name}"
    shown = names.get((term.name, term.value), term.value)
    return f"“{shown}”" if term.name == "q" else f"{term.name} {shown}"


def _period_text(low: str, high: str) -> str:
    if low == high:
        return PRESETS.get(low, low)
    low, high = (
        PRESETS.get(side, side).lower() if side[:1].isalpha() else side for side in (low, high)
    )
    return " ".join(f"{word} {side}" for word, side in (("from", low), ("to", high)) if side)
