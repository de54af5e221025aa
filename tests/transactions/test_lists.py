"""The list against a naive reading of its filters: the same rows in the same order."""

import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from books import Books, make_books
from freshledger.amounts import EXACT
from freshledger.database import Database
from freshledger.errors import Invalid
from freshledger.paging import Page
from freshledger.transactions import branches, bulk, lists, totals
from freshledger.transactions.filters import (
    SORTS,
    Paging,
    Selection,
    TransactionFilter,
)
from freshledger.transactions.periods import Clock
from freshledger.transactions.rows import TransactionRow
from transactions.oracle import (
    CHAINS,
    COUNTERPARTIES,
    STATUSES,
    TOKEN,
    TYPES,
    Small,
    in_days,
    in_sizes,
    make_small,
    matches,
)

CLOCK = Clock(ZoneInfo("UTC"), datetime(2024, 4, 1, 12, tzinfo=UTC))
TEXTS = ("may", "COFFEE", "coffee ann", "100%_", "Bob", "feed0000", "tax ret", "nothing", "o'b")
UNLIKELY = ("may ------", "a %%%%%%", "coffee & & &", "a coffe", "zzzzzzzz a", "<strong> a")
"""Several words, of which the longest is none to PostgreSQL, or is rare."""

DAYS = ("", "2024-03-30", "2024-03-31", "2024-04-01", "2024-04-02")
SIZES = ("", "0", "5", "12345678901234567890.000000000000000001", "100")

POOLS = {
    "wallet": lambda small: [*small.wallets, 0],
    "address": lambda _: [a for a in COUNTERPARTIES if a],
    "counterparty": lambda _: [*(a for a in COUNTERPARTIES if a), "0x*", "0xaa*", "bc1q*", "3J*"],
    "contact": lambda small: [*small.contacts, "none"],
    "type": lambda _: TYPES,
    "asset": lambda _: ["BTC", "ETH", "USDC", "DOGE", TOKEN],
    "chain": lambda _: [c or "none" for c in CHAINS],
    "label": lambda small: [*small.labels, "none"],
    "status": lambda _: sorted(set(STATUSES)),
    "txid": lambda small: [row["txid"] for row in small.rows[:20] if row["txid"]],
    "q": lambda _: TEXTS,
}


@pytest.fixture(scope="session")
async def small(database_url: str) -> AsyncIterator[Small]:
    connection = await asyncpg.connect(database_url)
    yield await make_small(connection)
    await connection.close()


def expected(small: Small, args: list[tuple[str, str]], sort: str = "-time") -> list[int]:
    """Filter and sort in Python."""
    rows = small.rows
    for name in {key.removeprefix("not.") for key, _ in args if "/" not in key}:
        wanted = [value for key, value in args if key == name]
        unwanted = [value for key, value in args if key == "not." + name]
        rows = [
            row
            for row in rows
            if (not wanted or any(matches(small, row, name, v) for v in wanted))
            and not any(matches(small, row, name, v) for v in unwanted)
        ]
    for kind, test in (("from/to", in_days), ("min_amount/max_amount", in_sizes)):
        wanted = [value.split("/") for key, value in args if key == kind]
        unwanted = [value.split("/") for key, value in args if key == "not." + kind]
        rows = [
            row
            for row in rows
            if (not wanted or any(test(row, *pair) for pair in wanted))
            and not any(test(row, *pair) for pair in unwanted)
        ]

    def place(row):
        key = (row["occurred_at"], row["id"])
        return (row["amount"].copy_abs(), *key) if sort.endswith("amount") else key

    return [row["id"] for row in sorted(rows, key=place, reverse=sort.startswith("-"))]


def pairs_of(args: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the query string's pairs: a range stands as two."""
    pairs = []
    for key, value in args:
        names = [key]
        mark = "not." if key.startswith("not.") else ""
        if "/" in key:
            names = [mark + name for name in key.removeprefix("not.").split("/")]
        pairs += zip(names, value.split("/"), strict=True)
    return pairs


async def page_of(
    database: Database, ledger_id: int, where: TransactionFilter, paging: Paging
) -> Page[TransactionRow]:
    async with database.read() as session:
        page, _version = await lists.list_transactions(
            session, ledger_id=ledger_id, where=where, clock=CLOCK, paging=paging
        )
    return page


async def walk(
    database: Database,
    ledger_id: int,
    where: TransactionFilter,
    sort: str,
    *,
    backward: bool = False,
) -> list[int]:
    """Read all pages of 25, from the first to the last or from the last to the first."""
    page = await page_of(database, ledger_id, where, Paging(sort=sort, limit=25))
    if backward:
        last = Paging(sort=sort, limit=25, cursor=page.last)
        page = await page_of(database, ledger_id, where, last)
    found: list[int] = []
    while True:
        ids = [row.id for row in page.rows]
        found = ids + found if backward else found + ids
        cursor = page.previous if backward else page.next
        if cursor is None:
            return found
        page = await page_of(database, ledger_id, where, Paging(sort=sort, limit=25, cursor=cursor))
        assert page.rows


@st.composite
def drawn_args(draw: st.DrawFn, small: Small) -> list[tuple[str, str]]:
    args = []
    for name in draw(st.lists(st.sampled_from(sorted(POOLS)), max_size=4)):
        mark = draw(st.sampled_from(("", "", "not.")))
        args.append((mark + name, str(draw(st.sampled_from(POOLS[name](small))))))
    for kind, pool in (("from/to", DAYS), ("min_amount/max_amount", SIZES)):
        for sides in draw(st.lists(st.tuples(*[st.sampled_from(pool)] * 2), max_size=2)):
            low, high = sorted(sides, key=lambda side: _rank(kind, side)) if all(sides) else sides
            mark = draw(st.sampled_from(("", "not.")))
            if low or high:
                args.append((mark + kind, f"{low}/{high}"))
    return args


def _rank(kind: str, side: str) -> tuple:
    return (bool(side), side if kind == "from/to" else Decimal(side or 0))


@given(data=st.data())
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_any_filter_shows_what_a_naive_reading_of_it_shows(data, small, database):
    args = data.draw(drawn_args(small))
    sort = data.draw(st.sampled_from(SORTS))
    where = TransactionFilter.from_args(pairs_of(args))
    wanted = expected(small, args, sort)
    assert await walk(database, small.ledger_id, where, sort) == wanted
    assert await walk(database, small.ledger_id, where, sort, backward=True) == wanted
    async with database.read() as session:
        sums = await totals.get_totals(session, ledger_id=small.ledger_id, where=where, clock=CLOCK)
        seen = await bulk.preview(
            session, ledger_id=small.ledger_id, selection=Selection(where=where, clock=CLOCK)
        )
    assert sums.count == seen.count == len(wanted)
    _check_sums(small, sums, set(wanted))


def _check_sums(small: Small, sums, wanted: set[int]) -> None:
    rows = [row for row in small.rows if row["id"] in wanted]
    for total in sums.assets:
        same = [r for r in rows if (r["asset"], r["contract"]) == (total.asset, total.contract)]
        confirmed = [row for row in same if row["status"] == "confirmed"]
        net = _sum(row["amount"] for row in confirmed)
        assert total.rows == len(same)
        assert total.net == net
        assert total.pending == _sum(r["amount"] for r in same if r["status"] == "pending")
        assert total.fees == _sum(
            r["amount"].copy_negate() for r in confirmed if r["type"] == "fee"
        )
        assert EXACT.subtract(EXACT.subtract(total.money_in, total.money_out), total.fees) == net
    assert sum(total.rows for total in sums.assets) == len(rows)
    assert sums.pending_count == len([row for row in rows if row["status"] == "pending"])


def _sum(amounts) -> Decimal:
    result = Decimal(0)
    for amount in amounts:
        result = EXACT.add(result, amount)
    return result


@pytest.mark.parametrize("name", sorted(POOLS))
@pytest.mark.parametrize("mark", ["", "not."])
async def test_each_value_alone_and_all_in_or(name, mark, small, database):
    values = [str(value) for value in POOLS[name](small)]
    for chosen in ([value] for value in values):
        args = [(mark + name, value) for value in chosen]
        where = TransactionFilter.from_args(args)
        assert await walk(database, small.ledger_id, where, "-time") == expected(small, args)
    args = [(mark + name, value) for value in values]
    where = TransactionFilter.from_args(args)
    assert await walk(database, small.ledger_id, where, "time") == expected(small, args, "time")


@pytest.fixture
def _short_walks(monkeypatch):
    """Let indexes be asked for what is not among the next three rows."""
    monkeypatch.setattr(branches, "WINDOW", 3)
    lists._page.cache_clear()
    yield
    lists._page.cache_clear()


@pytest.mark.usefixtures("_short_walks")
@pytest.mark.parametrize("more", [(), ("asset", "BTC"), ("not.type", "send"), ("label", 0)])
async def test_words_are_found_month_by_month(more, small, database):
    rest = [(more[0], str(more[1] or next(iter(small.labels))))] if more else []
    for text, sort in itertools.product((*TEXTS, *UNLIKELY), ("-time", "time")):
        args = [("q", text), *rest]
        where = TransactionFilter.from_args(args)
        wanted = expected(small, args, sort)
        assert await walk(database, small.ledger_id, where, sort) == wanted
        assert await walk(database, small.ledger_id, where, sort, backward=True) == wanted


MORE = (
    (), ("asset", "BTC"), ("type", "receive"), ("not.type", "send"), ("status", "confirmed"),
    ("chain", "bitcoin"), ("wallet", 0), ("from/to", "2024-03-31/"), ("not.from/to", "/2024-03-30"),
)  # fmt: skip


@pytest.mark.usefixtures("_short_walks")
@pytest.mark.parametrize("more", MORE, ids=str)
@pytest.mark.parametrize("name", ["wallet", "asset"])
async def test_what_is_not_excluded_is_found_beyond_the_next_rows(name, more, small, database):
    rest = [(more[0], str(more[1] or next(iter(small.wallets))))] if more else []
    values = [str(value) for value in POOLS[name](small)]
    for excluded, sort in itertools.product((values[:1], values[:-1]), ("-time", "time")):
        args = [*((f"not.{name}", value) for value in excluded), *rest]
        where = TransactionFilter.from_args(pairs_of(args))
        wanted = expected(small, args, sort)
        assert await walk(database, small.ledger_id, where, sort) == wanted
        assert await walk(database, small.ledger_id, where, sort, backward=True) == wanted


async def test_rows_that_arrive_while_paging_move_nothing(psql, books, database):
    await add_rows(psql, books, 60)
    first = await page_of(database, books.ledger_id, TransactionFilter(), Paging(limit=25))
    await add_rows(psql, books, 30, start=100)
    second = await page_of(
        database, books.ledger_id, TransactionFilter(), Paging(limit=25, cursor=first.next)
    )
    assert first.rows[-1].occurred_at - second.rows[0].occurred_at == timedelta(hours=1)
    back = await page_of(
        database, books.ledger_id, TransactionFilter(), Paging(limit=25, cursor=second.previous)
    )
    assert [row.id for row in back.rows] == [row.id for row in first.rows]
    assert back.previous  # what arrived is before it


async def test_first_and_last_page_know_what_is_beside_them(psql, books, database):
    await add_rows(psql, books, 60)
    first = await page_of(database, books.ledger_id, TransactionFilter(), Paging(limit=25))
    assert first.previous is None
    last = await page_of(
        database, books.ledger_id, TransactionFilter(), Paging(limit=25, cursor=first.last)
    )
    assert last.next is None
    assert len(last.rows) == 25
    again = await page_of(
        database, books.ledger_id, TransactionFilter(), Paging(limit=25, cursor=last.first)
    )
    assert again == first


@pytest.mark.parametrize(
    ("sort", "day", "hour"), [("-time", "2024-01-01", 23), ("time", "2024-01-02", 24)]
)
async def test_a_jump_begins_at_the_day(sort, day, hour, psql, books, database):
    await add_rows(psql, books, 60)
    page = await page_of(
        database, books.ledger_id, TransactionFilter(), Paging(sort=sort, limit=25, at=day)
    )
    assert page.rows[0].occurred_at == datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=hour)
    assert page.previous
    beside = await page_of(
        database,
        books.ledger_id,
        TransactionFilter(),
        Paging(sort=sort, limit=25, cursor=page.previous),
    )
    step = timedelta(hours=1 if sort == "-time" else -1)
    assert beside.rows[-1].occurred_at - page.rows[0].occurred_at == step


async def test_an_empty_ledger_still_has_its_version(books, database):
    async with database.read() as session:
        page, version = await lists.list_transactions(
            session,
            ledger_id=books.ledger_id,
            where=TransactionFilter(),
            clock=CLOCK,
            paging=Paging(),
        )
    assert (page.rows, page.next, page.previous) == ((), None, None)
    assert version == 2  # the ledger and its owner


async def test_another_ledger_is_never_shown(psql, books, database, small):
    for name, pool in POOLS.items():
        for value in pool(small):
            where = TransactionFilter.from_args([(name, str(value))])
            assert await walk(database, books.ledger_id, where, "-time") == []
    other = await make_books(psql)
    await add_rows(psql, books, 30)
    assert await walk(database, other.ledger_id, TransactionFilter(), "-time") == []


async def test_a_cursor_of_another_ledger_or_order_is_refused(books, database, small):
    page = await page_of(database, small.ledger_id, TransactionFilter(), Paging(limit=25))
    for ledger, sort in ((books.ledger_id, "-time"), (small.ledger_id, "time")):
        with pytest.raises(Invalid) as refusal:
            await page_of(
                database, ledger, TransactionFilter(), Paging(sort=sort, cursor=page.next)
            )
        assert refusal.value.field == "cursor"


async def add_rows(psql: asyncpg.Connection, books: Books, count: int, start: int = 0) -> None:
    """Add a row for each hour from the start of 2024."""
    wallet = await psql.fetchval(
        "INSERT INTO wallets (ledger_id, name) VALUES ($1, $2)"
        " ON CONFLICT (ledger_id, lower(name)) DO UPDATE SET name = excluded.name RETURNING id",
        books.ledger_id,
        "Wallet",
    )
    await psql.execute(
        "INSERT INTO transactions (ledger_id, wallet_id, identity, group_key, occurred_at, type,"
        " asset, amount) SELECT $1, $2, n, n, '2024-01-01Z'::timestamptz + n * interval '1 hour',"
        " 'send', 'BTC', -1 FROM generate_series($3::int, $4::int) n",
        books.ledger_id,
        wallet,
        start,
        start + count - 1,
    )
