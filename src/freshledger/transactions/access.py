"""The ways to a filter's first rows: which index leads, so that few rows are read.

A page is at most some hundred rows of a million. For each combination of equalities that
people use there is an index that ends in the page's order; where a name has several values
the first rows of each are merged. Labels and contacts lead through their own tables. What
is left of a filter is checked on the rows that come.
"""

from collections.abc import Sequence
from functools import lru_cache

from sqlalchemy import ColumnElement, not_, select

from freshledger.database import AnySelect
from freshledger.models import Contact, Label, TransactionLabel
from freshledger.transactions import branches
from freshledger.transactions.branches import (
    ROWS,
    Rest,
    any_of,
    contact_branches,
    each_of,
    equalities,
    first_rows,
    label_branch,
    merged,
    per_value,
    sorted_after,
    table_of,
    walk,
)
from freshledger.transactions.conditions import (
    LEDGER,
    Part,
    Shape,
    begins_between,
    conditions,
    named,
    prefixes,
    url_name,
)
from freshledger.transactions.filters import NOT
from freshledger.transactions.noted import note_branches
from freshledger.transactions.ordering import Order

FARTHER = 2
"""How much farther is walked past what is excluded than for words: to ask for all others costs more
than to ask the index of words, and a page of 500 has to have a chance."""

_LEADS: tuple[tuple[str, ...], ...] = (
    ("not.wallet", "asset"),
    ("not.wallet", "type"),
    ("not.wallet", "status"),
    ("not.wallet",),
    ("not.asset", "wallet"),
    ("not.asset", "type"),
    ("not.asset", "chain"),
    ("not.asset",),
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


def top(
    shape: Shape, order: Order, limit: ColumnElement[int], *, others: bool = False
) -> AnySelect:
    """Select the first `limit` whole rows of transactions that the filter lets in, in order.

    `others` says whether, where something is excluded, what else there is may lead: it takes
    the time of `limit` rows for each of the other wallets or assets.
    """
    if order.by_amount:
        return first_rows(ROWS, shape, order, limit)
    lead = _lead(shape, others=others)
    if "q" in lead:
        return _by_text(shape, order, limit)
    if "contact" in lead:
        return _by_contact(lead, shape, order, limit)
    if "label" in lead:
        return _by_label(lead, shape, order, limit)
    if any(name.startswith(NOT) for name in lead):
        return _by_others(lead, shape, order, limit)
    return _by_values(lead, shape, order, limit)


@lru_cache(maxsize=1024)
def leads_alone(shape: Shape, order: Order, *, others: bool) -> bool:
    """Tell whether an index leads to the very rows of a page: one plan is then good for all values.

    Else it depends on how common the values are, which only a plan made for them can know.
    """
    lead = _lead(shape, others=others)
    _, rest = _split(lead, shape)
    return "q" not in lead and not order.by_amount and all(part.name == "dates" for part in rest)


def _lead(shape: Shape, *, others: bool) -> tuple[str, ...]:
    return next((names for names in _LEADS if _leads(names, shape, others=others)), ())


def _leads(names: Sequence[str], shape: Shape, *, others: bool = False) -> bool:
    """Tell whether all of the names are wanted, each by values of one kind alone.

    What is not excluded leads only where nothing else has to be checked on its rows.
    """
    if any(name.startswith(NOT) for name in names):
        return others and {_called(part) for part in shape} - {"dates"} == {*names}
    wanted = [part for part in shape if not part.negated]
    return all(
        [part.name for part in wanted if url_name(part) == _url(name)] == [name] for name in names
    )


def _called(part: Part) -> str:
    return NOT + part.name if part.negated else part.name


def _url(name: str) -> str:
    return "asset" if name == "contract" else name


def _by_values(
    names: Sequence[str], shape: Shape, order: Order, limit: ColumnElement[int]
) -> AnySelect:
    leading, rest = _split(names, shape)
    # Also a single value leads as a table of one: the plan must not depend on how common it is,
    # for where it is not may be exactly where the page is.
    rows, each = ROWS.alias("t"), {part: table_of(part) for part in leading}
    found = first_rows(rows, rest, order, limit, *equalities(leading, each, rows))
    return merged(order, limit, per_value(each.values(), found)) if each else found


def _by_others(
    names: Sequence[str], shape: Shape, order: Order, limit: ColumnElement[int]
) -> AnySelect:
    """Look for what is not excluded in the next rows; if that is too few, lead by what else there is.

    Where nearly all rows are excluded, to walk would be to walk to the end.
    """
    excluded = [part for part in shape if part.negated]
    rest = tuple(part for part in shape if not part.negated)
    walked = walk(
        lambda window: top(rest, order, window),
        lambda row: conditions(excluded, row),
        order,
        limit,
        size=FARTHER * branches.WINDOW,
    )
    others = _by_values(names, shape, order, limit).subquery("others")
    return merged(order, limit, select(walked.near), select(others).where(not_(walked.enough)))


def _by_contact(
    names: Sequence[str], shape: Shape, order: Order, limit: ColumnElement[int]
) -> AnySelect:
    """Merge the first rows of each address of the contact and those it was set on by hand."""
    leading, rest = _split(names, shape)
    contact = next(part for part in leading if part.name == "contact")
    others = [part for part in leading if part is not contact]
    branches = contact_branches(table_of(contact), Rest(others, rest, order, limit))
    return merged(order, limit, *branches)


def _by_label(
    names: Sequence[str], shape: Shape, order: Order, limit: ColumnElement[int]
) -> AnySelect:
    """Take the first links of the label, and their rows; or join where rows must be checked."""
    leading, rest = _split(names, shape)
    label = next(part for part in leading if part.name == "label")
    others = [part for part in leading if part is not label]
    if any(part.name != "dates" for part in rest):
        branch = label_branch(table_of(label), Rest(others, rest, order, limit))
        return merged(order, limit, branch)
    link, rows, each = TransactionLabel.__table__.alias("link"), ROWS.alias("t"), each_of(leading)
    keys = first_rows(link, rest, order, limit, *equalities(leading, each, link))
    if each:
        keys = merged(order, limit, per_value(each.values(), keys))
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
    alone, by_asset = Rest([], rest, order, limit), _rest(("asset",), rest, order, limit)
    return merged(
        order,
        limit,
        *note_branches(text, alone, lambda window: top(tuple(rest), order, window)),
        _txid_branch(text, alone),
        label_branch(labels, _rest(("asset", "wallet", "type"), rest, order, limit)),
        *contact_branches(contacts, by_asset),
    )


def _rest(
    names: Sequence[str], rest: Sequence[Part], order: Order, limit: ColumnElement[int]
) -> Rest:
    """Let the first of the names that the filter has lead as well."""
    name = next((name for name in names if _leads((name,), tuple(rest))), None)
    others = [part for part in rest if part.name == name and not part.negated]
    return Rest(others, [part for part in rest if part not in others], order, limit)


def _txid_branch(text: Part, left: Rest) -> AnySelect:
    rows, txids = ROWS.alias("t"), prefixes(text)
    begins = begins_between(rows.c.txid, txids.c.low, txids.c.high)
    return per_value((txids,), sorted_after(txids, rows, left, begins))


def _split(names: Sequence[str], shape: Shape) -> tuple[list[Part], list[Part]]:
    """Part what leads from the rest; each of several spans of time is gone to by itself."""
    leads = {*names, "dates"} if Part("dates", many=True) in shape else names
    leading = [part for part in shape if _called(part) in leads]
    return leading, [part for part in shape if part not in leading]
