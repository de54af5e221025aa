"""The branches of a page: selects of the first rows that one index leads to, and their merging."""

from collections.abc import Callable, Iterable
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
from sqlalchemy.dialects.postgresql import ARRAY, array, distinct_on

from freshledger.database import AnySelect
from freshledger.models import ContactAddress, Transaction, TransactionLabel, Wallet
from freshledger.transactions.conditions import (
    COLUMNS,
    LEDGER,
    Condition,
    Part,
    conditions,
    spans_of,
)
from freshledger.transactions.ordering import Order

ROWS = Transaction.__table__
WINDOW = 500
"""How many rows are walked for what may be rare before an index is asked where it is."""

_LEADING_COLUMNS = {**COLUMNS, "label": "label_id"}


_ONE: ColumnElement[int] = literal_column("1", Integer())


def any_of(ids: ColumnElement[int]) -> Any:  # noqa: ANN401 - only for the right side of ==
    """Compare with ids as one array: an index then reads neighbours together."""
    return any_(func.array(select(ids).scalar_subquery(), type_=ARRAY(BigInteger)))


@dataclass(frozen=True, slots=True)
class Rest:
    """What a branch has to see to beside what leads it: `others` lead with it."""

    others: list[Part]
    rest: list[Part]
    order: Order
    limit: ColumnElement[int]


@dataclass(frozen=True, slots=True)
class Walk:
    """The next rows of a list, those `near` of them that are wanted, and if it was `enough`.

    It is, where a page is full or the list has come to its end.
    """

    rows: FromClause
    near: FromClause
    enough: Condition


def walk(
    window: Callable[[ColumnElement[int]], AnySelect],
    wanted: Callable[[FromClause], Iterable[Condition]],
    order: Order,
    limit: ColumnElement[int],
    *,
    size: int,
) -> Walk:
    """Walk the first `size` rows of `window`, a select that is given its limit."""
    many: ColumnElement[int] = literal_column(str(size))
    rows = window(many).cte()
    found = select(rows).where(*wanted(rows)).order_by(*order.sorting(rows))
    near = found.limit(limit).cte()
    count, met = (select(func.count()).select_from(r).scalar_subquery() for r in (rows, near))
    return Walk(rows, near, or_(count < many, met >= limit))


def contact_branches(contacts: FromClause, left: Rest) -> tuple[AnySelect, AnySelect]:
    """Select the first rows of contacts (column `value`): by their addresses, and by hand."""
    rows, each = ROWS.alias("t"), each_of(left.others)
    more = equalities(left.others, each, rows)
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
        first_rows(rows, left.rest, left.order, left.limit, *which, *more)
        for which in (derived, (by_hand,))
    )
    return (
        per_value((addresses, *each.values()), found),
        per_value((contacts, *each.values()), set_by_hand),
    )


def label_branch(labels: FromClause, left: Rest) -> AnySelect:
    """Select the first rows of labels (column `value`), walking their links in order."""
    link, rows = TransactionLabel.__table__.alias("link"), ROWS.alias("t")
    each, order = each_of(left.others), left.order
    same = and_(rows.c.ledger_id == link.c.ledger_id, rows.c.id == link.c.transaction_id)
    found = (
        select(rows)
        .join(link, same)
        .where(link.c.ledger_id == LEDGER, link.c.label_id == labels.c.value)
        .where(*equalities(left.others, each, link), *order.place(link))
        .where(*conditions(left.rest, rows))
        .order_by(*order.sorting(link))
        .limit(left.limit)
    )
    return per_value((labels, *each.values()), found)


def sorted_after(each: FromClause, rows: FromClause, left: Rest, *found: Condition) -> AnySelect:
    """Select the first of all rows that an index finds for a row of `each`.

    OFFSET 0 keeps the planner from walking another index instead, in the page's order or by
    the rest of the filter: it cannot know how rare a word is.
    """
    by_text = select(rows).where(rows.c.ledger_id == LEDGER, *found).offset(literal_column("0"))
    return first_rows(
        by_text.correlate(each).subquery("by_text"), left.rest, left.order, left.limit
    )


def first_rows(
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


def merged(order: Order, limit: ColumnElement[int], *branches: AnySelect) -> AnySelect:
    """Merge the first rows of several selects, each row once."""
    rows = (union_all(*branches) if len(branches) > 1 else branches[0]).subquery("merged")
    once = distinct_on(*order.columns(rows))
    return select(rows).ext(once).order_by(*order.sorting(rows)).limit(limit)


def per_value(each: Iterable[FromClause], rows: AnySelect) -> AnySelect:
    """Select `rows`, which are correlated to tables of values, for each combination of them."""
    tables = list(each)
    lateral = rows.correlate(*tables).lateral("rows")
    source = tables[0]
    for table in tables[1:]:
        source = source.join(table, true())
    return select(lateral).select_from(source.join(lateral, true()))


def table_of(part: Part) -> FromClause:
    """Return the values of a part as a table; of what is not wanted, what else there is."""
    if part.name == "dates":
        return spans_of(part)
    if part.negated:
        return _other_wallets(part) if part.name == "wallet" else _others(part)
    values = part.value if part.many else array([part.value])
    return func.unnest(values).table_valued("value", name=f"each_{part.name}").render_derived()


def _other_wallets(part: Part) -> FromClause:
    wallet = Wallet.__table__.alias("other_wallet")
    others = (wallet.c.ledger_id == LEDGER, not_(part.is_one_of(wallet.c.id)))
    return select(wallet.c.id.label("value")).where(*others).subquery("each_wallet")


def _others(part: Part) -> FromClause:
    """Go from each value of the column to the next one, a step in its index."""
    rows = ROWS.alias("other")
    column = rows.c[COLUMNS[part.name]]
    value = select(column.label("value")).where(rows.c.ledger_id == LEDGER).order_by(column)
    each = value.limit(_ONE).cte(recursive=True)
    following = value.where(column > each.c.value).limit(_ONE).correlate(each).scalar_subquery()
    each = each.union_all(select(following).where(each.c.value.is_not(None)))
    others = (each.c.value.is_not(None), not_(part.is_one_of(each.c.value)))
    return select(each.c.value).where(*others).subquery("each_other")


def each_of(parts: Iterable[Part]) -> dict[Part, FromClause]:
    """Return, for each part with many values, a table of one column `value`."""
    return {part: table_of(part) for part in parts if part.many or part.negated}


def equalities(
    parts: Iterable[Part], each: dict[Part, FromClause], row: FromClause
) -> list[Condition]:
    """Compare what leads in a row with the values of its part, or of its table in `each`."""
    found: list[Condition] = []
    for part in parts:
        if part.name == "dates":
            found += (row.c.occurred_at >= each[part].c.low, row.c.occurred_at < each[part].c.high)
        else:
            value = each[part].c.value if part in each else part.value
            found.append(row.c[_LEADING_COLUMNS[part.name]] == value)
    return found
