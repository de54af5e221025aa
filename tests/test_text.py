"""Text from outside is shown without what cannot be seen."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshledger.errors import Invalid
from freshledger.text import clean_text, fit_text


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Uniswap V3", "Uniswap V3"),
        ("  a\tb\u2028c  ", "a b c"),
        ("US\u200bDC\u202e\u2066\ufeff", "USDC"),
        ("a\x00b\x1b[31m\x9f", "ab[31m"),
        ("\ud800", ""),
        ("a\nb", "a b"),
        ("caf\u00e9 \u732b \U0001fae8", "caf\u00e9 \u732b \U0001fae8"),
    ],
)
def test_what_is_left(text, cleaned):
    assert clean_text(text) == cleaned


def test_line_feeds_stay_where_they_are_wanted():
    assert clean_text("\na\r\n\nb\n", lines=True) == "a\n\nb"


def test_the_limit_leaves_no_space_at_the_end():
    assert clean_text("abc def", limit=4) == "abc"


@given(st.text(max_size=40), st.booleans())
def test_cleaning_twice_changes_nothing(text, lines):
    cleaned = clean_text(text, limit=20, lines=lines)
    assert len(cleaned) <= 20
    seen = {unicodedata.category(letter) for letter in cleaned if letter != "\n"}
    assert not seen & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert lines or "\n" not in cleaned
    assert clean_text(cleaned, limit=20, lines=lines) == cleaned


def test_what_a_person_wrote_is_never_cut():
    assert fit_text(" e\u0301\tx ", field="note", limit=3) == "\u00e9 x"
    with pytest.raises(Invalid, match="note: at most 3 characters; this has 4") as refused:
        fit_text("abcd", field="note", limit=3)
    assert refused.value.field == "note"
    assert refused.value.sentence == "At most 3 characters; this has 4."
