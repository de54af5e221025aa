"""A filter's shape, its parameters, and each of its terms as a condition on a row.

Statements are built once per shape (which names, how many values, negated or not) and
cached; the values travel as parameters.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    FromClause,
    Numeric,
    Text,
    and_,
    any_,
    bindparam,
    exists,
    func,
    literal_column,
    not_,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import TypeEngine

from freshledger.models import Contact, ContactAddress, Label, TransactionLabel
from freshledger.models.transactions import STATUSES, TYPES
from freshledger.transactions.filters import NOT, Term, TransactionFilter
from freshledger.transactions.periods import Clock, Span, spans
from freshledger.transactions.values import NONE, is_contract

Condition = ColumnElement[bool]
LEDGER = bindparam("ledger", type_=BigInteger)

COLUMNS = {
    "wallet": "wallet_id",
    "address": "own_address",
    "counterparty": "counterparty",
    "type": "type",
    "asset": "asset",
    "contract": "contract",
    "chain": "chain",
    "status": "status",
    "txid": "txid",
}
"""The names that are equalities on a column of transactions."""

_IDS = frozenset({"wallet", "contact", "label"})
MIN_TXID = 4
"""Characters from which on a text is looked for among transaction ids: fewer find too many."""

_SIMPLE: ColumnElement[Any] = literal_column("'simple'::regconfig")


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """The terms of a filter that become one condition; `many` says whether it has several."""

    name: str
    negated: bool = False
    many: bool = False

    @property
    def parameter(self) -> str:
        """The name of its parameter; never a column's, which an UPDATE would set to it."""
        return f"not_{self.name}" if self.negated else f"is_{self.name}"

    @property
    def type(self) -> TypeEngine[Any]:
        """The SQL type of one of its values."""
        return BigInteger() if self.name in _IDS else Text()

    @property
    def value(self) -> ColumnElement[Any]:
        """Its value; an array of them where it has many."""
        return bindparam(self.parameter, type_=ARRAY(self.type) if self.many else self.type)

    def is_one_of(self, column: ColumnElement[Any]) -> Condition:
        """Compare a column with the values."""
        return column == (any_(self.value) if self.many else self.value)


Shape = tuple[Part, ...]


def shape_of(where: TransactionFilter) -> Shape:
    """Return what the statement of a filter depends on."""
    groups = _groups(where)
    return tuple(Part(name, negated, len(v) != 1) for (name, negated), v in sorted(groups.items()))


def parameters_of(where: TransactionFilter, clock: Clock | None) -> dict[str, Any]:
    """Return the values for a statement of the filter's shape."""
    parameters: dict[str, Any] = {}
    for (name, negated), values in _groups(where).items():
        part = Part(name, negated, len(values) != 1)
        parameters |= _values(part, values, clock)
    return parameters


def conditions(shape: Iterable[Part], row: FromClause) -> list[Condition]:
    """Return what must hold for a row: wanted values ORed within a name, unwanted excluded."""
    wanted: dict[str, list[Condition]] = {}
    unwanted = []
    for part in shape:
        condition = _condition(part, row)
        if not part.negated:
            wanted.setdefault(url_name(part), []).append(condition)
        elif part.name.startswith("label"):  # never NULL; and NOT EXISTS is an anti-join
            unwanted.append(not_(condition))
        else:
            unwanted.append(condition.is_not(True))
    return [*(or_(*alternatives) for alternatives in wanted.values()), *unwanted]


def url_name(part: Part) -> str:
    """Return the filter's name that a part belongs to."""
    return part.name.partition(".")[0] if part.name != "contract" else "asset"


def effective_contact(row: FromClause) -> ColumnElement[int | None]:
    """Return the contact of a row: the hand-set one, else the one with its counterparty."""
    address = (
        select(ContactAddress.contact_id)
        .where(
            ContactAddress.ledger_id == LEDGER,
            ContactAddress.address == row.c.counterparty,
            ContactAddress.network == row.c.network,
        )
        .scalar_subquery()
    )
    return func.coalesce(row.c.contact_id, address)


def note_words(row: FromClause) -> ColumnElement[Any]:
    """Return the searchable words of the note."""
    return func.to_tsvector(_SIMPLE, row.c.note)


def _groups(where: TransactionFilter) -> dict[tuple[str, bool], list[str]]:
    groups: dict[tuple[str, bool], list[str]] = {}
    for term in where.terms:
        groups.setdefault((_kind(term), term.negated), []).append(term.value)
    _turn_round(groups)
    return groups


def _turn_round(groups: dict[tuple[str, bool], list[str]]) -> None:
    """Want what is left instead of excluding what is not wanted, where an index then leads to it.

    The ranges of an exclusion from time are marked by NOT. Kinds are left as they are where
    something else is likely to lead to fewer rows.
    """
    if ("dates", True) in groups:
        excluded = [NOT + value for value in groups.pop(("dates", True))]
        groups["dates", False] = [*groups.get(("dates", False), ("/",)), *excluded]
    if any(name in {"amounts", "q", "counterparty.prefix"} for name, _ in groups):
        return
    if ("wallet", True) in groups and ("wallet", False) in groups:
        excluded = groups.pop(("wallet", True))
        groups["wallet", False] = [id_ for id_ in groups["wallet", False] if id_ not in excluded]
    for name, kinds in {"type": TYPES, "status": STATUSES}.items():
        if (name, True) in groups:
            excluded = groups.pop((name, True))
            wanted = groups.get((name, False), kinds)
            groups[name, False] = [value for value in wanted if value not in excluded]


def _kind(term: Term) -> str:
    """Return the part a term goes into: some names hold values of different kinds."""
    if term.name == "asset" and is_contract(term.value):
        return "contract"
    if term.value == NONE and term.name in {"label", "contact", "chain"}:
        return f"{term.name}.none"
    if term.name == "counterparty" and term.value.endswith("*"):
        return "counterparty.prefix"
    return term.name


def _values(part: Part, values: list[str], clock: Clock | None) -> dict[str, Any]:
    if part.name.endswith(".none"):
        return {}
    if part.name in {"dates", "amounts"}:
        return _range_values(part, values, clock)
    if part.name == "counterparty.prefix":
        ranges = _prefix_values(part, [value.rstrip("*") for value in values])
        return ranges if part.many else {name: sides[0] for name, sides in ranges.items()}
    if part.name == "q":
        return _text_values(part, values)
    typed: list[Any] = [int(v) for v in values] if part.name in _IDS else values
    return {part.parameter: typed if part.many else typed[0]}


def _range_values(part: Part, values: list[str], clock: Clock | None) -> dict[str, Any]:
    bounds = _sizes(values) if part.name == "amounts" else _spans(values, clock)
    lows, highs = [low for low, _ in bounds], [high for _, high in bounds]
    names = f"{part.parameter}_low", f"{part.parameter}_high"
    return dict(zip(names, (lows, highs) if part.many else (lows[0], highs[0]), strict=True))


def _sizes(values: list[str]) -> list[tuple[Decimal, Decimal]]:
    sides = (value.split("/") for value in values)
    return [(Decimal(low or 0), Decimal(high or "Infinity")) for low, high in sides]


def _spans(values: list[str], clock: Clock | None) -> list[Span]:
    if clock is None:
        raise TypeError("a filter with dates needs the viewer's clock")
    wanted = [value for value in values if not value.startswith(NOT)]
    unwanted = [value.removeprefix(NOT) for value in values if value.startswith(NOT)]
    return spans(wanted, unwanted, clock)


def _prefix_values(part: Part, prefixes: list[str]) -> dict[str, Any]:
    """Return the half-open ranges of strings, by their bytes, that begin with a prefix."""
    return {
        f"{part.parameter}_low": prefixes,
        f"{part.parameter}_high": [p[:-1] + chr(ord(p[-1]) + 1) for p in prefixes],
    }


def _text_values(part: Part, texts: list[str]) -> dict[str, Any]:
    """Return the words for notes, the pattern for names, and the prefixes for txids.

    The longest word is given alone too where there is one text, of several words.
    """
    quoted = [" & ".join(_quoted(word) for word in text.split()) for text in texts]
    (text, *others) = texts
    alone = others or len(text.split()) == 1
    patterns = [f"%{_escaped(text)}%" for text in texts]
    txids = [text for text in texts if text.isascii() and len(text) >= MIN_TXID]
    txids = sorted({*txids, *(text.lower() for text in txids)})
    return {
        f"{part.parameter}_words": " | ".join(f"({words})" for words in quoted),
        f"{part.parameter}_longest": None if alone else _quoted(max(text.split(), key=len)),
        f"{part.parameter}_like": patterns,
        **_prefix_values(part, txids),
    }


def _quoted(word: str) -> str:
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "':*"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _condition(part: Part, row: FromClause) -> Condition:
    if part.name in COLUMNS:
        return part.is_one_of(row.c[COLUMNS[part.name]])
    forms: dict[str, Callable[[], Condition]] = {
        "dates": lambda: _in_dates(part, row.c.occurred_at),
        "amounts": lambda: _in_amounts(part, func.abs(row.c.amount)),
        "label": lambda: _has_label(row, lambda link: part.is_one_of(link.c.label_id)),
        "label.none": lambda: not_(_has_label(row)),
        "contact": lambda: part.is_one_of(effective_contact(row)),
        "contact.none": lambda: effective_contact(row).is_(None),
        "chain.none": lambda: row.c.chain.is_(None),
        "counterparty.prefix": lambda: begins_with(part, row.c.counterparty),
        "q": lambda: _text_matches(part, row),
    }
    return forms[part.name]()


def _in_dates(part: Part, column: ColumnElement[Any]) -> Condition:
    low, high = _range_parameters(part, DateTime(timezone=True))
    if not part.many:
        return and_(column >= low, column < high)
    each = spans_of(part)
    return exists().where(column >= each.c.low, column < each.c.high)


def spans_of(part: Part) -> FromClause:
    """Return a table of the spans of time (low, high), of which no two overlap."""
    low, high = _range_parameters(part, DateTime(timezone=True))
    return (
        func.unnest(low, high)
        .table_valued("low", "high", name=f"{part.parameter}_each")
        .render_derived()
    )


def _in_amounts(part: Part, size: ColumnElement[Any]) -> Condition:
    low, high = _range_parameters(part, Numeric())
    if not part.many:
        return and_(size >= low, size <= high)
    each = (
        func.unnest(low, high)
        .table_valued("low", "high", name=f"{part.parameter}_each")
        .render_derived()
    )
    return exists().where(size >= each.c.low, size <= each.c.high)


def _range_parameters(part: Part, kind: TypeEngine[Any]) -> tuple[Any, Any]:
    wanted = ARRAY(kind) if part.many else kind
    names = (f"{part.parameter}_low", f"{part.parameter}_high")
    low, high = (bindparam(name, type_=wanted) for name in names)
    return low, high


def begins_with(part: Part, column: ColumnElement[Any]) -> Condition:
    """Compare a column with prefixes."""
    if not part.many and part.name != "q":
        low, high = _range_parameters(part, Text())
        return begins_between(column, low, high)
    each = prefixes(part)
    return exists().where(begins_between(column, each.c.low, each.c.high))


def begins_between(
    column: ColumnElement[Any], low: ColumnElement[Any], high: ColumnElement[Any]
) -> Condition:
    """Compare a column with a range in the order of bytes, as its index for prefixes has it."""
    return and_(
        column.op("~>=~", is_comparison=True)(low), column.op("~<~", is_comparison=True)(high)
    )


def prefixes(part: Part) -> FromClause:
    """Return a table of the half-open ranges (low, high) that texts with the prefixes are in."""
    names = (f"{part.parameter}_low", f"{part.parameter}_high")
    low, high = (bindparam(name, type_=ARRAY(Text())) for name in names)
    return (
        func.unnest(low, high)
        .table_valued("low", "high", name=f"{part.parameter}_each")
        .render_derived()
    )


def _has_label(
    row: FromClause, which: Callable[[FromClause], Condition] | None = None
) -> Condition:
    link = TransactionLabel.__table__.alias()
    found = exists().where(link.c.ledger_id == LEDGER, link.c.transaction_id == row.c.id)
    return found.where(which(link)) if which else found


def _text_matches(part: Part, row: FromClause) -> Condition:
    return or_(
        note_words(row).bool_op("@@")(words(part)),
        _has_label(row, lambda link: link.c.label_id.in_(named(part, Label.__table__))),
        effective_contact(row).in_(named(part, Contact.__table__)),
        begins_with(part, row.c.txid),
    )


def words(part: Part) -> ColumnElement[Any]:
    """Return the text query: every word of a text begins a word of the note."""
    return func.to_tsquery(_SIMPLE, bindparam(f"{part.parameter}_words", type_=Text()))


def longest_words(part: Part) -> ColumnElement[Any]:
    """Return the text query for the longest word alone; null where it is not given."""
    return func.to_tsquery(_SIMPLE, bindparam(f"{part.parameter}_longest", type_=Text()))


def named(part: Part, table: FromClause) -> Any:  # noqa: ANN401 - a select of ids
    """Select the labels or contacts whose name has the text in it, whatever its case."""
    patterns = bindparam(f"{part.parameter}_like", type_=ARRAY(Text()))
    matches = table.c.name.op("ILIKE", is_comparison=True)(any_(patterns))
    return select(table.c.id).where(table.c.ledger_id == LEDGER, matches)
