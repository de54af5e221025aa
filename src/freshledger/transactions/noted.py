"""The branches of a search for words: the next notes, and those that the index of words finds."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    and_,
    exists,
    func,
    literal_column,
    not_,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import TSQUERY

from freshledger.database import AnySelect
from freshledger.transactions import branches
from freshledger.transactions.branches import ROWS, Rest, Walk, per_value, sorted_after, walk
from freshledger.transactions.conditions import (
    LEDGER,
    Condition,
    Part,
    conditions,
    longest_words,
    note_words,
    words,
)

_NONE: ColumnElement[int] = literal_column("0", Integer())
_MONTH: ColumnElement[Any] = literal_column("interval '30 days'")
_FIRST_MONTH: ColumnElement[Any] = literal_column("timestamptz '1970-01-01T00:00:00Z'")


def note_branches(
    text: Part, left: Rest, window: Callable[[ColumnElement[int]], AnySelect]
) -> tuple[AnySelect, AnySelect]:
    """Look for the words in the next notes, and by the index of words only if that is too few.

    A word that many notes have is soon met. Of one that few have the index finds those of
    each month, where to walk would be to walk to the end.
    """
    walked = walk(
        window,
        lambda row: [note_words(row).bool_op("@@")(words(text))],
        left.order,
        left.limit,
        size=branches.WINDOW,
    )
    months = _months(left, walked)
    rows = ROWS.alias("t")
    noted = note_words(rows).bool_op("@@")(words(text))
    of_month = sorted_after(
        months, rows, left, _is_likely(text, months), _in_month(rows, months, words(text)), noted
    )
    # Months come in the page's order, and so do the rows of each: a nested loop is the only
    # way to a lateral table, and ends as soon as it has given enough.
    return select(walked.near), per_value((months,), of_month).limit(left.limit)


def _is_likely(text: Part, months: FromClause) -> Condition:
    """Tell whether a month has the longest word of the text at all.

    Short words begin many others, and the index gathers all of those before it compares them
    with the rest: where the longest has found nothing, nothing else is looked for. What has
    no letter or digit is no word to the index, and tells nothing.
    """
    longest, hint = longest_words(text), ROWS.alias("hint")
    # That the row is of the month is known already: but the planner, who guesses that one row
    # in some hundred fits, would in the largest ledgers rather walk until the first one comes.
    same = func.month_of(hint.c.occurred_at, type_=Integer) == months.c.month
    found = exists().where(_in_month(hint, months, longest), same).correlate(months)
    return or_(func.coalesce(func.numnode(longest), _NONE) == _NONE, found)


def _in_month(rows: FromClause, months: FromClause, query: ColumnElement[Any]) -> Condition:
    """Compare notes with a text query by the index of each month's words."""
    place = func.placed_words(rows.c.ledger_id, rows.c.occurred_at, rows.c.note)
    placed = func.placed_query(LEDGER, months.c.month, query, type_=TSQUERY)
    some = rows.c.note != literal_column("''")
    return and_(rows.c.ledger_id == LEDGER, some, place.bool_op("@@")(placed))


def _months(left: Rest, walked: Walk) -> FromClause:
    """Return the months with rows from the last that was walked on, in the page's order.

    None, if the walk found enough or came to the end.
    """
    rows, order = ROWS.alias("t"), left.order
    month = func.month_of(walked.rows.c.occurred_at, type_=Integer)
    edge = (func.min if order.descending else func.max)(month)
    months = select(edge.label("month")).where(not_(walked.enough)).cte(recursive=True)
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
