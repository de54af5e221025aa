"""Cursors come back as they went, and nothing else is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshledger.errors import Invalid
from freshledger.paging import MAX_LIMIT, Cursor, decode_cursor, page_of, parse_limit

positions = st.none() | st.tuples(st.text(max_size=90), st.text(max_size=20))


@given(position=positions, backward=st.booleans(), scope=st.text(max_size=20))
def test_a_cursor_comes_back_as_it_went(position, backward, scope):
    cursor = Cursor(position, backward)
    assert decode_cursor(cursor.encode(scope=scope), scope=scope, columns=2) == cursor


@given(position=positions, at=st.integers(0, 200), bit=st.integers(0, 6))
def test_one_changed_character_is_refused(position, at, bit):
    text = Cursor(position).encode(scope="1:time")
    at %= len(text)
    changed = text[:at] + chr(ord(text[at]) ^ (1 << bit)) + text[at + 1 :]
    with pytest.raises(Invalid) as refusal:
        decode_cursor(changed, scope="1:time", columns=2)
    assert refusal.value.field == "cursor"


@pytest.mark.parametrize("text", ["", "a", "====", "€", "AAAA", "A" * 400, "x\0", " "])
def test_other_text_is_refused(text):
    with pytest.raises(Invalid):
        decode_cursor(text, scope="1:time", columns=2)


def test_a_cursor_of_another_list_or_order_is_refused():
    text = Cursor(("1", "2")).encode(scope="1:time")
    for scope, columns in (("2:time", 2), ("1:amount", 2), ("1:time", 3)):
        with pytest.raises(Invalid):
            decode_cursor(text, scope=scope, columns=columns)


async def test_a_forged_cursor_is_refused(books, client):
    """Whoever knows how can make a cursor: what no list of ours has written is no place."""
    time, amount = f"{books.ledger_id}:-time", f"{books.ledger_id}:-amount"
    forged = [
        ("transactions", {"sort": "-time"}, time, position)
        for position in [("x", "1"), ("1", "x"), ("1", "9" * 30), ("9" * 18, "1"), ("", ""),
                         ("\u0661", "1"), ("1.5", "1")]
    ] + [
        ("transactions", {"sort": "-amount"}, amount, position)
        for position in [("NaN", "1", "1"), ("1e999999", "1", "1"), ("-1", "1", "1")]
    ] + [
        ("contacts", {}, "contacts:", position)
        for position in [("a", "x"), ("a\0", "1"), ("a", "9" * 30)]
    ]  # fmt: skip
    for place, query, scope, position in forged:
        for root in (books.path, books.api):
            asked = query | {"cursor": Cursor(position).encode(scope=scope)}
            answer = await client.get(f"{root}/{place}", query_string=asked)
            text = await answer.get_data(as_text=True)
            assert answer.status_code == 422, (place, position)
            assert "ot a place in this list" in text
    ours = [
        ("transactions", {"sort": "-time"}, time, ("-1", "1")),
        ("transactions", {"sort": "-amount"}, amount, ("0.5", "0", "1")),
        ("contacts", {}, "contacts:", ("a", "1")),
    ]
    for place, query, scope, position in ours:
        for root in (books.path, books.api):
            asked = query | {"cursor": Cursor(position).encode(scope=scope)}
            answer = await client.get(f"{root}/{place}", query_string=asked)
            assert answer.status_code == 200, (place, position)


@pytest.mark.parametrize("text", ["24", "501", "-25", "2.5e2", "٢٥", "x", "9" * 400])
def test_a_limit_outside_is_refused(text):
    with pytest.raises(Invalid) as refusal:
        parse_limit(text)
    assert refusal.value.field == "limit"


def test_a_limit_inside_is_taken():
    assert [parse_limit(t, default=50) for t in (None, "", "25", "500")] == [50, 50, 25, MAX_LIMIT]


def test_a_backward_page_is_in_the_lists_order():
    page = page_of(
        [3, 2, 1], cursor=Cursor(("4",), backward=True), limit=2, behind=True, scope="s",
        key=lambda row: (str(row),),
    )  # fmt: skip
    assert page.rows == (2, 3)
    assert decode_cursor(page.next, scope="s", columns=1) == Cursor(("3",))
    assert decode_cursor(page.previous, scope="s", columns=1) == Cursor(("2",), backward=True)
