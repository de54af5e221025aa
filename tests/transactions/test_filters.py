"""Filters go into a query string and come back equal; each refusal names its parameter."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st

from freshledger.errors import Invalid
from freshledger.transactions.filters import Paging, Term, TransactionFilter
from freshledger.transactions.periods import PRESETS, Clock, begin, end

ids = st.integers(0, 10**18 - 1).map(str)
addresses = st.text("0123456789abcdefABCDEF", min_size=40, max_size=40).map(lambda t: "0x" + t)
days = st.dates(min_value=date(1970, 1, 1), max_value=date(9000, 1, 1))
instants = st.builds(datetime.combine, days, st.times(), st.just(UTC))
bounds = days.map(str) | st.sampled_from(sorted(PRESETS)) | instants.map(datetime.isoformat)
amounts = st.decimals(0, 10**30, places=20).map(str)
printable = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30)
VALUES = {
    "wallet": ids,
    "address": addresses,
    "counterparty": addresses | addresses.map(lambda a: a[:9] + "*"),
    "contact": ids | st.just("none"),
    "type": st.sampled_from(["send", "FEE"]),
    "asset": printable | addresses,
    "chain": st.sampled_from(["ethereum", "Bitcoin", "8453", "none"]),
    "label": ids | st.just("None"),
    "status": st.sampled_from(["pending", "failed"]),
    "txid": printable,
    "q": printable | st.just("two  words ü"),
}


@st.composite
def queries(draw: st.DrawFn) -> list[tuple[str, str]]:
    pairs = []
    for name in draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=6)):
        mark = draw(st.sampled_from(["", "not."]))
        pairs.append((mark + name, draw(VALUES[name])))
    for names, sides in ((("from", "to"), bounds), (("min_amount", "max_amount"), amounts)):
        for _ in range(draw(st.integers(0, 2))):
            mark = draw(st.sampled_from(["", "not."]))
            pairs += [(mark + name, draw(st.just("") | sides)) for name in names]
    return pairs


@given(queries())
def test_a_filter_comes_back_from_its_query_string(pairs):
    try:
        where = TransactionFilter.from_args(pairs)
    except Invalid as refusal:  # a range may be reversed; nothing else is wrong
        event(refusal.message.split(",")[0][:9])
        assume(" is before " not in refusal.message)
        raise
    assert TransactionFilter.from_args(where.to_args()) == where
    for term in where.terms:
        fewer = where.without(term.name, term.value, term.negated)
        assert set(fewer.terms) == set(where.terms) - {term}
        assert TransactionFilter.from_args(fewer.to_args()) == fewer
    assert len(where.summary()) == len(where.terms)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("wallet", "cold"), ("wallet", "1e3"), ("wallet", "9" * 19), ("not.label", "-1"),
        ("contact", "٣"), ("type", "gift"), ("status", "open"), ("chain", "no such chain"),
        ("address", "a b"), ("counterparty", "*"), ("counterparty", "x" * 200), ("txid", "a b"),
        ("asset", "a\0b"), ("q", "x" * 201), ("q", "a\x01"), ("from", "2024-02-30"),
        ("not.to", "yesterdays"), ("from", "2024-01-01T00:00:00"), ("from", "0000-01-01"),
        ("to", "9999-12-31"), ("to", "2024-01-01T99:00:00Z"), ("min_amount", "-1"),
        ("max_amount", "1e400"), ("max_amount", "NaN"), ("not.min_amount", "1,5"),
        ("color", "red"), ("not.sort", "time"), ("not.", "x"),
    ],
)  # fmt: skip
def test_a_refusal_names_its_parameter(name, value):
    with pytest.raises(Invalid) as refusal:
        TransactionFilter.from_args([(name, value)], others=("sort",))
    assert refusal.value.field == name


@pytest.mark.parametrize(
    ("name", "value"),
    [("sort", "id"), ("limit", "7"), ("at", "2024"), ("at", "2024-13-01")],
)
def test_a_refusal_of_paging_names_its_parameter(name, value):
    with pytest.raises(Invalid) as refusal:
        Paging.from_args([(name, value)])
    assert refusal.value.field == name


def test_a_date_to_go_to_needs_the_order_of_time_and_no_cursor():
    for pairs in ([("sort", "amount"), ("at", "2024-01-01")], [("cursor", "x"), ("at", "today")]):
        with pytest.raises(Invalid) as refusal:
            Paging.from_args(pairs)
        assert refusal.value.field == "at"


def test_paging_comes_back_without_its_defaults():
    assert Paging.from_args([("sort", "-time"), ("limit", "50")]).to_args() == []
    paging = Paging.from_args([("sort", "amount"), ("limit", "100"), ("cursor", "c")])
    assert Paging.from_args(paging.to_args()) == paging
    assert Paging.from_args([], default_limit=200).to_args() == []


def test_ranges_pair_in_the_order_they_come():
    pairs = [("from", "2020-01-01"), ("from", "2022-01-01"), ("to", "2020-12-31"), ("to", "")]
    where = TransactionFilter.from_args(pairs)
    assert where.values("dates") == ("2020-01-01/2020-12-31", "2022-01-01/")
    with pytest.raises(Invalid) as refusal:
        TransactionFilter.from_args([*pairs, ("to", "2023-01-01"), ("to", "2024-01-01")])
    assert refusal.value.field == "from"


def test_more_than_a_hundred_values_are_refused():
    with pytest.raises(Invalid) as refusal:
        TransactionFilter.from_args([("label", str(n)) for n in range(101)])
    assert refusal.value.field == "label"


def test_values_are_kept_in_their_canonical_form():
    where = TransactionFilter.from_args(
        [("label", "007"), ("counterparty", " 0xABCD* "), ("min_amount", "1e3"), ("q", " a  b ")]
    )
    assert where.terms == (
        Term("counterparty", "0xabcd*"), Term("label", "7"), Term("q", "a b"),
        Term("amounts", "1000/"),
    )  # fmt: skip
    assert where.adding("label", "7") == where
    assert not where.is_relative
    assert where.adding("from", "last-month").is_relative


@pytest.mark.parametrize(
    ("zone", "now", "preset", "first", "last"),
    [
        # Daylight saving time began in Berlin on 31 March 2024 and ended on 27 October 2024.
        ("Europe/Berlin", "2024-03-31T12:00", "today", "2024-03-30T23:00", "2024-03-31T22:00"),
        ("Europe/Berlin", "2024-10-27T12:00", "today", "2024-10-26T22:00", "2024-10-27T23:00"),
        ("Europe/Berlin", "2024-04-02T12:00", "last-month", "2024-02-29T23:00", "2024-03-31T22:00"),
        ("Europe/Berlin", "2024-12-31T23:30", "this-year", "2024-12-31T23:00", "2025-12-31T23:00"),
        ("Pacific/Auckland", "2024-06-30T13:00", "this-month", "2024-06-30T12:00", "2024-07-31T12:00"),
        ("UTC", "2024-02-29T12:00", "last-year", "2023-01-01T00:00", "2024-01-01T00:00"),
        ("UTC", "2024-03-01T00:00", "yesterday", "2024-02-29T00:00", "2024-03-01T00:00"),
        ("UTC", "2024-03-03T00:00", "last-7-days", "2024-02-26T00:00", "2024-03-04T00:00"),
        ("UTC", "2024-01-31T00:00", "last-30-days", "2024-01-02T00:00", "2024-02-01T00:00"),
        # Clocks in Beirut went from 0:00 to 1:00 on 31 March 2024: the day began at 1:00.
        ("Asia/Beirut", "2024-03-31T12:00", "today", "2024-03-30T22:00", "2024-03-31T21:00"),
        # In Havana 0:00 to 1:00 came twice on 3 November 2024: the day began with the first.
        ("America/Havana", "2024-11-03T12:00", "today", "2024-11-03T04:00", "2024-11-04T05:00"),
    ],
)  # fmt: skip
def test_periods_are_the_viewers(zone, now, preset, first, last):
    clock = Clock(ZoneInfo(zone), datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert begin(preset, clock) == datetime.fromisoformat(first).replace(tzinfo=UTC)
    assert end(preset, clock) == datetime.fromisoformat(last).replace(tzinfo=UTC)
