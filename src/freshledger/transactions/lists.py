"""One page of the list in one statement, which is one snapshot: rows, names, version."""

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Text,
    and_,
    bindparam,
    case,
    cast,
    false,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger.database import AnySelect, Executor, fetch
from freshledger.errors import NotFound
from freshledger.models import (
    Contact,
    ContactAddress,
    Head,
    Label,
    TransactionLabel,
    Wallet,
)
from freshledger.paging import (
    MAX_LIMIT,
    Cursor,
    Page,
    decode_cursor,
    exact_number,
    microseconds,
    moment_of,
    page_of,
    whole_number,
)
from freshledger.transactions.access import leads_alone, top
from freshledger.transactions.branches import any_of
from freshledger.transactions.conditions import LEDGER, Shape, parameters_of, shape_of
from freshledger.transactions.filters import Paging, TransactionFilter
from freshledger.transactions.ordering import Order
from freshledger.transactions.periods import Clock, begin, end
from freshledger.transactions.rows import Document, TransactionRow, read_row

_LIMIT: ColumnElement[int] = bindparam("limit", type_=Integer())

_ONE: ColumnElement[int] = literal_column("1", Integer())


async def list_transactions(
    session: AsyncSession,
    *,
    ledger_id: int,
    where: TransactionFilter,
    clock: Clock,
    paging: Paging,
) -> tuple[Page[TransactionRow], int]:
    """List a page and the ledger's version it shows; see list_documents."""
    page, version = await list_documents(
        session, ledger_id=ledger_id, where=where, clock=clock, paging=paging
    )
    rows = tuple(read_row(document) for document in page.rows)
    return Page(rows, page.next, page.previous, page.first, page.last), version


async def list_documents(
    session: Executor,
    *,
    ledger_id: int,
    where: TransactionFilter,
    clock: Clock,
    paging: Paging,
) -> tuple[Page[Document], int]:
    """List a page and the ledger's version it shows, unread, for who only passes it on.

    One statement. Raises Invalid for a cursor of another ledger or order, NotFound where the
    ledger is gone.
    """
    by_amount = paging.sort.endswith("amount")
    scope = f"{ledger_id}:{paging.sort}"
    cursor = _cursor(paging, clock, scope)
    descending = paging.sort.startswith("-") != cursor.backward
    order = Order(by_amount, descending, placed=cursor.position is not None)
    limit = paging.limit + 1
    records = await fetch(
        session,
        _page_of(shape_of(where), order, limit),
        {"ledger": ledger_id, "limit": limit}
        | parameters_of(where, clock)
        | _place(cursor.position),
    )
    if not records:
        raise NotFound("there is no such ledger")
    page = page_of(
        [Document(one["document"]) for one in records if one["document"] is not None],
        cursor=cursor,
        limit=paging.limit,
        behind=records[0]["behind"],
        scope=scope,
        key=lambda document: _key(read_row(document), by_amount=by_amount),
    )
    return page, records[0]["ledger_version"]


def cursor_from(row: TransactionRow, *, ledger_id: int, sort: str) -> str:
    """Return the cursor of the page that begins with `row`, whatever comes before it later."""
    *place, identifier = _key(row, by_amount=sort.endswith("amount"))
    before = int(identifier) + (1 if sort.startswith("-") else -1)
    return Cursor((*place, str(before))).encode(scope=f"{ledger_id}:{sort}")


def shown(rows: FromClause) -> tuple[ColumnElement[str], Callable[[Any], Any]]:
    """Return a row's Document, null where there is no row, and what joins its names to `rows`."""
    address, contact, wallet = (
        table.__table__.alias(name)
        for table, name in ((ContactAddress, "known"), (Contact, "contact"), (Wallet, "wallet"))
    )
    at_address = and_(
        rows.c.contact_id.is_(None),
        address.c.ledger_id == LEDGER,
        address.c.address == rows.c.counterparty,
        address.c.network == rows.c.network,
    )
    contact_id = func.coalesce(rows.c.contact_id, address.c.contact_id)
    tags = _labels(rows)
    values: dict[str, Any] = {column.name: column for column in rows.c} | {
        "occurred_at": _rfc3339(rows.c.occurred_at),
        "amount": _exact(rows.c.amount),
        "fiat_value": _exact(rows.c.fiat_value),
        "wallet": wallet.c.name,
        "contact_id": contact.c.id,
        "contact": contact.c.name,
        "contact_by_hand": rows.c.contact_id.is_not(None),
        "labels": func.coalesce(tags.c.labels, literal_column("'[]'::jsonb")),
    }
    pairs: Iterable[tuple[ColumnElement[Any], ...]] = (
        (literal_column(f"'{name}'"), values[name]) for name in TransactionRow.__struct_fields__
    )
    made = cast(func.json_build_object(*(part for pair in pairs for part in pair)), Text)

    def join(source: Any) -> Any:  # noqa: ANN401 - a join of anything
        return (
            source.outerjoin(
                wallet, and_(wallet.c.ledger_id == LEDGER, wallet.c.id == rows.c.wallet_id)
            )
            .outerjoin(address, at_address)
            .outerjoin(contact, and_(contact.c.ledger_id == LEDGER, contact.c.id == contact_id))
            .outerjoin(tags, tags.c.transaction_id == rows.c.id)
        )

    return case((rows.c.id.is_not(None), made)).label("document"), join


def _rfc3339(time: ColumnElement[datetime]) -> ColumnElement[str]:
    """Write a time as msgspec does; what no Python time can be is shown as the nearest one."""
    near = func.least(func.greatest(time, _FIRST), _LAST)
    text = func.to_char(func.timezone(_UTC, near), _FORMAT)
    return func.replace(text, literal_column("'.000000Z'"), literal_column("'Z'"))


# A day inside of what Python can hold, so that they are times in every zone.
_FIRST: ColumnElement[datetime] = literal_column("'0001-01-02 00:00Z'::timestamptz")
_LAST: ColumnElement[datetime] = literal_column("'9999-12-30 00:00Z'::timestamptz")
_UTC: ColumnElement[str] = literal_column("'UTC'")
# The colons are quoted: to pgbench, which is given these statements, one before a letter is a variable.
_FORMAT: ColumnElement[str] = literal_column("""'YYYY-MM-DD"T"HH24":"MI":"SS.US"Z"'""")


def _exact(amount: ColumnElement[Any]) -> ColumnElement[str]:
    """Write an amount as `format_amount` does."""
    return cast(func.trim_scale(amount), Text)


def _labels(rows: FromClause) -> FromClause:
    """Return the labels of `rows` as JSON by `transaction_id`, in the order of their names."""
    link, label = TransactionLabel.__table__.alias("tag"), Label.__table__.alias("tag_name")
    tag = func.jsonb_build_object("id", label.c.id, "name", label.c.name, "color", label.c.color)
    same = and_(label.c.ledger_id == link.c.ledger_id, label.c.id == link.c.label_id)
    names = aggregate_order_by(tag, func.lower(label.c.name), label.c.id)
    return (
        select(link.c.transaction_id, func.jsonb_agg(names).label("labels"))
        .select_from(link.join(label, same))
        .where(link.c.ledger_id == LEDGER, link.c.transaction_id == any_of(rows.c.id))
        .group_by(link.c.transaction_id)
        .subquery("tags")
    )


def _page_of(shape: Shape, order: Order, limit: int) -> AnySelect:
    """Return the statement of a page of so many rows.

    Of a limit that it does not know PostgreSQL expects a tenth of all rows, and makes a new plan
    for each page: where one plan is good for all values, the limit is written into the statement.
    """
    others = limit <= MAX_LIMIT + 1  # an export rather walks through everything
    known = limit if leads_alone(shape, order, others=others) else None
    return _page(shape, order, known, others=others)


@lru_cache(maxsize=1024)
def _page(shape: Shape, order: Order, known: int | None, *, others: bool) -> AnySelect:
    """Build the statement of a page; the ledger's own row makes sure there is one."""
    limit = _LIMIT if known is None else literal_column(str(known), Integer())
    rows = top(shape, order, limit, others=others).cte("page")
    document, join = shown(rows)
    head = Head.__table__
    # Not EXISTS: that forgets the order, and with it the index that ends in it.
    other = top(shape, order.opposite, _ONE, others=others).subquery("other")
    behind = select(other.c.id).scalar_subquery().is_not(None) if order.placed else false()
    return (
        select(head.c.version.label("ledger_version"), behind.label("behind"), document)
        .select_from(join(head.outerjoin(rows, true())))
        .where(head.c.ledger_id == LEDGER)
        .order_by(*order.sorting(rows))
    )


def _cursor(paging: Paging, clock: Clock, scope: str) -> Cursor:
    """Return where the page begins; a date is a place just before its first row."""
    if paging.cursor:
        columns = 3 if paging.sort.endswith("amount") else 2
        return decode_cursor(paging.cursor, scope=scope, columns=columns)
    if paging.at:
        moment = end(paging.at, clock) if paging.sort == "-time" else begin(paging.at, clock)
        return Cursor(_time_key(moment, 0))
    return Cursor()


def _key(row: TransactionRow, *, by_amount: bool) -> tuple[str, ...]:
    place = _time_key(row.occurred_at, row.id)
    return (row.amount.removeprefix("-"), *place) if by_amount else place


def _time_key(moment: datetime, identifier: int) -> tuple[str, str]:
    return microseconds(moment), str(identifier)


def _place(position: tuple[str, ...] | None) -> dict[str, Any]:
    if position is None:
        return {}
    *amount, moment, identifier = position
    place = {"place_time": moment_of(moment), "place_id": whole_number(identifier)}
    return place | ({"place_amount": exact_number(amount[0])} if amount else {})
