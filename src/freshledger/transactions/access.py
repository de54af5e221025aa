"""The ways to a filter's first rows: which index leads, so that few rows are read.

A page is at most some hundred rows of a million. For each combination of equalities that
people use there is an index that ends in the page's order; where a name has several values
the first rows of each are merged. Labels and contacts lead through their own tables. What
is left of a filter is checked on the rows that come.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Integer,
    and_,
    any_,
    func,
    literal_column,
    not_,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY, TSQUERY, array, distinct_on

from freshledger.database import AnySelect
from freshledger.models import Contact, ContactAddress, Label, Transaction, TransactionLabel
from freshledger.transactions.conditions import (
    COLUMNS,
    LEDGER,
    Condition,
    Part,
    Shape,
    begins_between,
    conditions,
    named,
    note_words,
    prefixes,
    spans_of,
    url_name,
    words,
)
from freshledger.transactions.ordering import Order

_ROWS = Transaction.__table__
_LEADING_COLUMNS = {**COLUMNS, "label": "label_id"}
WINDOW = 500
"""How many rows a search for words walks before it asks the index of words."""

_MONTH: ColumnElement[Any] = literal_column("interval '30 days'")
_FIRST_MONTH: ColumnElement[Any] = literal_column("timestamptz '1970-01-01T00:00:00Z'")

_LEADS: tuple[tuple[str, ...], ...] = (
    ("txid",),
    ("q",),
    ("contact", "asset"),
    ("contact",),
    ("counterparty", "asset"),
    ("counterparty",),
    ("label", "asset"),
    ("label", "wallet"),
    ("label", "type"),
    ("label",),
    ("address",),
    ("contract",),
    ("wallet", "asset"),
    ("wallet", "type"),
    ("wallet", "status"),
    ("asset", "type"),
    ("asset", "chain"),
    ("asset",),
    ("wallet",),
    ("type",),
    ("chain",),
    ("status",),
)
"""Names that an index serves together, the likely few rows first."""


def top(shape: Shape, order: Order, limit: ColumnElement[int]) -> AnySelect:
    """Select the first `limit` whole rows of transactions that the filter lets in, in order."""
    if order.by_amount:
        return _first(_ROWS, shape, order, limit)
    lead = _lead(shape)
    if "q" in lead:
        return _by_text(shape, order, limit)
    if "contact" in lead:
        return _by_contact(lead, shape, order, limit)
    if "label" in lead:
        return _by_label(lead, shape, order, limit)
    return _by_values(lead, shape, order, limit)


def leads_alone(shape: Shape, order: Order) -> bool:
    """Tell whether an index leads to the very rows of a page: one plan is then good for all values.

    Else it depends on how common the values are, which only a plan made for them can know.
    """
    _, rest = _split(_lead(shape), shape)
    by_values = "q" not in _lead(shape) and not order.by_amount
    return by_values and all(part.name == "dates" for part in rest)


def any_of(ids: ColumnElement[int]) -> Any:  # noqa: ANN401 - only for the right side of ==
    """Compare with ids as one array: an index then reads neighbours together."""
    return any_(func.array(select(ids).scalar_subquery(), type_=ARRAY(BigInteger)))


def _lead(shape: Shape) -> tuple[str, ...]:
    return next((names for names in _LEADS if _leads(names, shape)), ())


def _leads(names: Sequence[str], shape: Shape) -> bool:
    """Tell whether all of the names are wanted, each by values of one kind alone."""
    wanted = [part for part in shape if not part.negated]
    return all(
        [part.name for part in wanted if url_name(part) == _url(name)] == [name] for name in names
    )


def _url(name: str) -> str:
    return "asset" if name == "contract" else name


def _by_values(
    names: Sequence[str], shape: Shape, order: Order, limit: ColumnElement[int]
) -> AnySelect:
    leading, rest = _split(names, shape)
    # Also a single value leads as a table of one: the plan must not depend on how common it is,
    # for where it is not may be exactly where the page is.
    rows, each = _ROWS.alias("t"), {part: _table_of(part) for part in leading}
    found = _first(rows, rest, order, limit, *_equalities(leading, each, rows))
    return _merged(order, limit, _per_value(each.values(), found)) if each else found


def _by_contact(
    names: Sequence[str], shape: Shape, order: Order, limit: ColumnElement[int]
) -> AnySelect:
    """Merge the first rows of each address of the contact and those it was set on by hand."""
    leading, rest = _split(names, shape)
    contact = next(part for part in leading if part.name == "contact")
    others = [part for part in leading if part is not contact]
    branches = _contact_branches(_table_of(contact), _Rest(others, rest, order, limit))
    return _merged(order, limit, *branches)


def _by_label(
    names: Sequence[str], shape: Shape, order: Order, limit: ColumnElement[int]
) -> AnySelect:
    """Take the first links of the label, and their rows; or join where rows must be checked."""
    leading, rest = _split(names, shape)
    label = next(part for part in leading if part.name == "label")
    others = [part for part in leading if part is not label]
    if any(part.name != "dates" for part in rest):
        branch = _label_branch(_table_of(label), _Rest(others, rest, order, limit))
        return _merged(order, limit, branch)
    link, rows, each = TransactionLabel.__table__.alias("link"), _ROWS.alias("t"), _each(leading)
    keys = _first(link, rest, order, limit, *_equalities(leading, each, link))
    if each:
        keys = _merged(order, limit, _per_value(each.values(), keys))
    first = keys.subquery("first")
    among = rows.c.id == any_of(first.c.transaction_id)
    return select(rows).where(rows.c.ledger_id == LEDGER, among).order_by(*order.sorting(rows))


def _by_text(shape: Shape, order: Order, limit: ColumnElement[int]) -> AnySelect:
    """Merge the first rows by note, by label, by contact and by transaction id."""
    text = next(part for part in shape if part.name == "q" and not part.negated)
    rest = [part for part in shape if part is not text]
    labels, contacts = (
        named(text, model.__table__).with_only_columns(model.id.label("value")).subquery(name)
        for model, name in ((Label, "labels"), (Contact, "contacts"))
    )
    alone, by_asset = _Rest([], rest, order, limit), _rest(("asset",), rest, order, limit)
    return _merged(
        order,
        limit,
        *_note_branches(text, alone),
        _txid_branch(text, alone),
        _label_branch(labels, _rest(("asset", "wallet", "type"), rest, order, limit)),
        *_contact_branches(contacts, by_asset),
    )


@dataclass(frozen=True, slots=True)
class _Rest:
    """What a branch has to see to beside what leads it: `others` lead with it."""

    others: list[Part]
    rest: list[Part]
    order: Order
    limit: ColumnElement[int]


def _rest(
    names: Sequence[str], rest: Sequence[Part], order: Order, limit: ColumnElement[int]
) -> _Rest:
    """Let the first of the names that the filter has lead as well."""
    name = next((name for name in names if _leads((name,), tuple(rest))), None)
    others = [part for part in rest if part.name == name and not part.negated]
    return _Rest(others, [part for part in rest if part not in others], order, limit)


def _note_branches(text: Part, left: _Rest) -> tuple[AnySelect, AnySelect]:
    """Look for the words in the next notes, and by the index of words only if that is too few.

    A word that many notes have is soon met. Of one that few have the index finds those of
    each month, where to walk would be to walk to the end.
    """
    window: ColumnElement[int] = literal_column(str(WINDOW))
    next_rows = top(tuple(left.rest), left.order, window).cte()
    near = (
        select(next_rows)
        .where(note_words(next_rows).bool_op("@@")(words(text)))
        .order_by(*left.order.sorting(next_rows))
        .limit(left.limit)
        .cte()
    )
    months = _months(left, next_rows, near)
    rows = _ROWS.alias("t")
    place = func.placed_words(rows.c.ledger_id, rows.c.occurred_at, rows.c.note)
    query = func.placed_query(LEDGER, months.c.month, words(text), type_=TSQUERY)
    some = rows.c.note != literal_column("''")
    noted = note_words(rows).bool_op("@@")(words(text))
    of_month = _sorted(months, rows, left, some, place.bool_op("@@")(query), noted)
    # Months come in the page's order, and so do the rows of each: a nested loop is the only
    # way to a lateral table, and ends as soon as it has given enough.
    return select(near), _per_value((months,), of_month).limit(left.limit)


def _months(left: _Rest, walked: FromClause, near: FromClause) -> FromClause:
    """Return the months with rows from the last that was walked on, in the page's order.

    None, if the walk found enough or came to the end.
    """
    rows, order = _ROWS.alias("t"), left.order
    count, met = (select(func.count()).select_from(r).scalar_subquery() for r in (walked, near))
    month = func.month_of(walked.c.occurred_at, type_=Integer)
    edge = (func.min if order.descending else func.max)(month)
    enough = or_(count < literal_column(str(WINDOW)), met >= left.limit)
    months = select(edge.label("month")).where(not_(enough)).cte(recursive=True)
    begins = _FIRST_MONTH + months.c.month * _MONTH
    dates = [part for part in left.rest if part.name == "dates" and not part.many]
    time = rows.c.occurred_at
    beyond = time < begins if order.descending else time >= begins + _MONTH
    following = (
        select(func.month_of(time, type_=Integer))
        .where(rows.c.ledger_id == LEDGER, *conditions(dates, rows), beyond)
        .order_by(*order.sorting(rows))
        .limit(1)
        .correlate(months)
        .scalar_subquery()
    )
    return months.union_all(select(following).where(months.c.month.is_not(None)))


def _txid_branch(text: Part, left: _Rest) -> AnySelect:
    rows, txids = _ROWS.alias("t"), prefixes(text)
    begins = begins_between(rows.c.txid, txids.c.low, txids.c.high)
    return _per_value((txids,), _sorted(txids, rows, left, begins))


def _sorted(each: FromClause, rows: FromClause, left: _Rest, *found: Condition) -> AnySelect:
    """Select the first of all rows that an index of text finds for a row of `each`.

    OFFSET 0 keeps the planner from walking another index instead, in the page's order or by
    the rest of the filter: it cannot know how rare a word is.
    """
    by_text = select(rows).where(rows.c.ledger_id == LEDGER, *found).offset(literal_column("0"))
    return _first(by_text.correlate(each).subquery("by_text"), left.rest, left.order, left.limit)


def _contact_branches(contacts: FromClause, left: _Rest) -> tuple[AnySelect, AnySelect]:
    """Select the first rows of contacts (column `value`): by their addresses, and by hand."""
    rows, each = _ROWS.alias("t"), _each(left.others)
    more = _equalities(left.others, each, rows)
    known = ContactAddress.__table__.alias("known")
    addresses = (
        select(known.c.address, known.c.network)
        .join(contacts, known.c.contact_id == contacts.c.value)
        .where(known.c.ledger_id == LEDGER)
        .subquery("addresses")
    )
    derived = (
        rows.c.counterparty == addresses.c.address,
        rows.c.network == addresses.c.network,
        rows.c.contact_id.is_(None),
    )
    by_hand = rows.c.contact_id == contacts.c.value
    found, set_by_hand = (
        _first(rows, left.rest, left.order, left.limit, *which, *more)
        for which in (derived, (by_hand,))
    )
    return (
        _per_value((addresses, *each.values()), found),
        _per_value((contacts, *each.values()), set_by_hand),
    )


def _label_branch(labels: FromClause, left: _Rest) -> AnySelect:
    """Select the first rows of labels (column `value`), walking their links in order."""
    link, rows = TransactionLabel.__table__.alias("link"), _ROWS.alias("t")
    each, order = _each(left.others), left.order
    same = and_(rows.c.ledger_id == link.c.ledger_id, rows.c.id == link.c.transaction_id)
    found = (
        select(rows)
        .join(link, same)
        .where(link.c.ledger_id == LEDGER, link.c.label_id == labels.c.value)
        .where(*_equalities(left.others, each, link), *order.place(link))
        .where(*conditions(left.rest, rows))
        .order_by(*order.sorting(link))
        .limit(left.limit)
    )
    return _per_value((labels, *each.values()), found)


def _split(names: Sequence[str], shape: Shape) -> tuple[list[Part], list[Part]]:
    """Part what leads from the rest; each of several spans of time is gone to by itself."""
    leads = {*names, "dates"} if Part("dates", many=True) in shape else names
    leading = [part for part in shape if part.name in leads and not part.negated]
    return leading, [part for part in shape if part not in leading]


def _table_of(part: Part) -> FromClause:
    if part.name == "dates":
        return spans_of(part)
    values = part.value if part.many else array([part.value])
    return func.unnest(values).table_valued("value", name=f"each_{part.name}").render_derived()


def _first(
    source: FromClause,
    shape: Iterable[Part],
    order: Order,
    limit: ColumnElement[int],
    *more: Condition,
) -> AnySelect:
    """Select the first rows where the rest of the filter is checked on each."""
    return (
        select(source)
        .where(source.c.ledger_id == LEDGER, *more)
        .where(*conditions(shape, source), *order.place(source))
        .order_by(*order.sorting(source))
        .limit(limit)
    )


def _merged(order: Order, limit: ColumnElement[int], *branches: AnySelect) -> AnySelect:
    """Merge the first rows of several selects, each row once."""
    rows = (union_all(*branches) if len(branches) > 1 else branches[0]).subquery("merged")
    once = distinct_on(*order.columns(rows))
    return select(rows).ext(once).order_by(*order.sorting(rows)).limit(limit)


def _each(parts: Iterable[Part]) -> dict[Part, FromClause]:
    """Return, for each part with many values, a table of one column `value`."""
    return {part: _table_of(part) for part in parts if part.many}


def _equalities(
    parts: Iterable[Part], each: dict[Part, FromClause], row: FromClause
) -> list[Condition]:
    found: list[Condition] = []
    for part in parts:
        if part.name == "dates":
            found += (row.c.occurred_at >= each[part].c.low, row.c.occurred_at < each[part].c.high)
        else:
            value = each[part].c.value if part in each else part.value
            found.append(row.c[_LEADING_COLUMNS[part.name]] == value)
    return found


def _per_value(each: Iterable[FromClause], rows: AnySelect) -> AnySelect:
    """Select `rows`, which are correlated to tables of values, for each combination of them."""
    tables = list(each)
    lateral = rows.correlate(*tables).lateral("rows")
    source = tables[0]
    for table in tables[1:]:
        source = source.join(table, true())
    return select(lateral).select_from(source.join(lateral, true()))
