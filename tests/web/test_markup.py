"""What pages show again and again: exact, whole, and only text whatever it is."""

import re

import pytest
from markupsafe import Markup

from freshledger.web import markup

EVIL = "\"><script>alert('1')</script>&amp;"


SAFE = {"a", "bdi", "button", "span", "svg", "use"}


def text_of(html):
    return re.sub(r"<[^>]+>", "", html)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("0", "0"),
        ("-0.5", "-0.5"),
        ("1", "+1"),
        ("999.1", "+999.1"),
        ("1000", "+1000"),
        ("-1234567.89000012", "-1234567.89000012"),
        ("123456789012345678901234567890.123456789012345678", None),
    ],
)
def test_an_amount_is_exactly_its_digits(value, shown):
    html = markup.amount(value)
    assert isinstance(html, Markup)
    assert text_of(html) == (shown or f"+{value}")
    assert text_of(markup.amount(value, sign=False)) == value


def test_an_amount_is_drawn_by_what_it_is():
    assert "amount--zero" in markup.amount("-0.00")
    assert "amount--in" in markup.amount("0.1")
    assert "amount--in" not in markup.amount("-0.1")
    assert "amount--in" not in markup.amount("0.1", sign=False)
    assert "amount--long" in markup.amount("1" * 27)
    groups = re.findall(r'<span class="amount__group">(\d+)</span>', markup.amount("12345678"))
    assert groups == ["12", "345", "678"]
    assert '0<span class="amount__fraction">.001234<span class="amount__tail">5<' in markup.amount(
        "-0.0012345"
    )
    assert "USDC" in text_of(markup.amount("1", "USDC", "0xa0b8"))


def test_points_stand_in_a_line():
    assert markup.fraction_class([]) == "frac-2"
    assert markup.fraction_class(["1.5", "0.123456789"]) == "frac-12"
    assert markup.fraction_class([f"0.{'1' * 30}"]) == "frac-18"


def test_an_address_is_whole_or_its_contact_with_the_address_to_copy():
    alone = markup.address("0xabc")
    assert '<span class="hash">0xabc</span>' in alone
    assert 'class="copy"' in alone
    named = markup.address("0xabc", "Ann", "/contacts/1")
    assert 'title="0xabc"' in named
    assert '<a class="address__contact" href="/contacts/1">Ann</a>' in named
    assert 'class="copy"' in named
    assert "Ann" in markup.address(None, "Ann")
    assert "copy" not in markup.address(None, "Ann")
    assert markup.address(None) == ""


def test_whatever_is_written_is_only_text():
    drawings = markup.Drawings("/static/icons.svg")
    made = [
        markup.amount(EVIL, EVIL, EVIL),
        markup.asset(EVIL, EVIL),
        markup.copy(EVIL, EVIL),
        markup.address(EVIL),
        markup.address(EVIL, EVIL, EVIL),
        markup.txid(EVIL, EVIL),
        markup.badge(EVIL),
        markup.kind(EVIL),
        markup.label(EVIL, EVIL, EVIL, EVIL),
        drawings.button(EVIL, href=EVIL, attrs={"name": EVIL}),
        drawings.button(EVIL, icon=EVIL, attrs={"name": EVIL}),
    ]
    for html in made:
        assert not re.search(r"<script|&amp;[^a]", html, re.IGNORECASE)
        assert set(re.findall(r"</?(\w+)", html)) <= SAFE
        assert "lert(" in html


def test_a_button_is_a_link_where_it_leads_somewhere():
    drawings = markup.Drawings("/static/icons.svg")
    assert "name" not in drawings.button("Add", attrs={"name": None})
    plain = drawings.button("Add", "primary danger", small=True)
    assert plain == (
        '<button class="button button--primary button--danger button--small" type="submit">'
        "<span>Add</span></button>"
    )
    linked = drawings.button("Add", icon="plus", href="/new", attrs={"hx-boost": "true"})
    assert linked.startswith('<a class="button" href="/new" hx-boost="true"><svg')
    assert "/static/icons.svg#plus" in linked
