"""Our own CSV and JSON Lines come back as they were written; no cell is a formula."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from freshledger.imports.formats import detect
from freshledger.imports.formats.own import (
    FIELDS,
    csv_header,
    csv_line,
    json_line,
    make_plain,
    make_safe,
)
from freshledger.imports.formats.records import Movement, Options
from freshledger.models.transactions import STATUSES, TYPES
from freshledger.text import clean_text

PLAIN = Movement(
    line=2,
    identity="ethereum:0x1:value:in",
    group_key="ethereum:0x1",
    occurred_at=datetime(2024, 1, 31, 12, 0, 0, 1, tzinfo=UTC),
    type="receive",
    status="confirmed",
    asset="ETH",
    amount=Decimal("0.000000000000000001"),
    occurrence=0,
)
FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@x",
    "'x",
    "\uff1d1",
    "\uff0b1",
    "\uff0d1",
    "\uff20x",
    "a;=1",
    "a\n=1",
    "'=1",
]


def only(found):
    assert found.problems == []
    (movement,) = found.movements
    return movement


def read_back(content):
    head = content.encode()
    records = list(detect(head).parse(io.BytesIO(head), Options()))
    assert len(records) == 1
    return records[0]


def test_the_fields_and_their_order():
    assert csv_header() == (
        "wallet,own_address,chain,txid,group_key,occurred_at,type,status,asset,contract,amount,"
        "counterparty,contact,labels,note,fiat_value,fiat_currency,identity,occurrence\r\n"
    )
    assert tuple(json.loads(json_line(PLAIN))) == FIELDS


def test_what_is_written():
    line = csv_line(replace(PLAIN, labels=("a;b", "c\\"), amount=Decimal("-1E+3")))
    assert line == (
        ",,,,ethereum:0x1,2024-01-31T12:00:00.000001Z,receive,confirmed,ETH,,-1000,,,a\\;b;c\\\\,,"
        ",,ethereum:0x1:value:in,0\r\n"
    )
    assert json.loads(json_line(PLAIN))["amount"] == "0.000000000000000001"


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_is_a_formula_and_the_text_comes_back(read, text):
    movement = replace(PLAIN, note=text, wallet=clean_text(text, limit=99), labels=("x", text))
    content = csv_header() + csv_line(movement)
    _, cells = csv.reader(io.StringIO(content))
    assert [c for c in cells if c and c[0] in "=+-@\t\r\uff1d\uff0b\uff0d\uff20"] == []
    (_, *split) = csv.reader(io.StringIO(content), delimiter=";")
    assert [c for c in split[0][1:] if c.startswith(("=", "+", "@", "\uff1d"))] == []
    assert only(read(content)) == replace(movement, labels=("x", clean_text(text, limit=99)))


@given(st.text(alphabet="=+-@'\t\r\n;\uff1da"))
def test_making_safe_is_undone_exactly(text):
    safe = make_safe(text)
    assert make_plain(safe) == text
    assert not safe.startswith(("=", "+", "-", "@", "\t", "\r", "\uff1d"))


START = datetime(1971, 1, 1, tzinfo=UTC)
TEXT = st.text(max_size=40).map(lambda text: clean_text(text, limit=40))
LINES = st.text(max_size=80).map(lambda text: clean_text(text, limit=80, lines=True))
NAME = st.one_of(st.none(), TEXT.filter(bool))
ADDRESS = st.one_of(
    st.none(), st.from_regex(r"0x[0-9a-f]{40}|[1-9A-HJ-NP-Za-km-z]{30}", fullmatch=True)
)
AMOUNT = st.decimals(allow_nan=False, allow_infinity=False, min_value=-10**30, max_value=10**30,
                     places=18).map(lambda d: Decimal(f"{d:f}"))  # fmt: skip


@st.composite
def movements(draw):
    status = draw(st.sampled_from(STATUSES))
    return Movement(
        line=2,
        identity=draw(TEXT.filter(bool)),
        group_key=draw(TEXT.filter(bool)),
        occurred_at=draw(st.timedeltas(timedelta(0), timedelta(days=20_000))) + START,
        type=draw(st.sampled_from(TYPES)),
        status=status,
        asset=draw(TEXT.filter(bool)),
        amount=Decimal(0) if status == "failed" else draw(AMOUNT),
        contract=draw(ADDRESS),
        chain=draw(st.one_of(st.none(), st.just("polygon"))),
        txid=draw(st.one_of(st.none(), st.from_regex(r"(0x)?[0-9a-f]{64}", fullmatch=True))),
        own_address=draw(ADDRESS),
        counterparty=draw(ADDRESS),
        fiat_value=draw(st.one_of(st.none(), AMOUNT)),
        fiat_currency=draw(st.one_of(st.none(), st.just("EUR"))),
        note=draw(LINES),
        labels=tuple(draw(st.lists(TEXT.filter(bool), max_size=3))),
        wallet=draw(NAME),
        contact=draw(NAME),
        occurrence=draw(st.one_of(st.none(), st.integers(0, 10**9 - 1))),
    )


@given(movements())
def test_the_csv_comes_back_equal(movement):
    content = csv_header() + csv_line(movement)
    assert read_back(content) == movement


@given(movements())
def test_the_json_lines_come_back_equal(movement):
    assert read_back(json_line(movement)) == replace(movement, line=1)


def test_both_are_recognised():
    assert detect(csv_header().encode()).slug == "freshledger-csv"
    assert detect(json_line(PLAIN).encode()).slug == "freshledger-jsonl"


@pytest.mark.parametrize(
    ("field", "value"),
    [("type", "gift"), ("status", "maybe"), ("amount", "1e400"), ("amount", ""),
     ("occurred_at", "2999-01-01T00:00:00Z"), ("occurred_at", "yesterday"), ("identity", " "),
     ("occurrence", "-1"), ("txid", "a b"), ("counterparty", "\u202e")],
)  # fmt: skip
def test_bad_fields_are_named(read, field, value):
    row = json.loads(json_line(PLAIN)) | {field: value}
    assert [(p.line, p.column) for p in read(json.dumps(row), "freshledger-jsonl").problems] == [
        (1, field)
    ]
    row["labels"] = ""
    line = io.StringIO()
    csv.DictWriter(line, FIELDS).writerow(row)
    found = read(csv_header() + line.getvalue())
    assert [(p.line, p.column) for p in found.problems] == [(2, field)]


def test_json_fields_of_the_wrong_kind_are_named(read):
    for field, value in (
        ("note", 1.5),
        ("labels", "x"),
        ("labels", [1]),
        ("amount", True),
        ("asset", {}),
    ):
        row = json.loads(json_line(PLAIN)) | {field: value}
        found = read(json.dumps(row), "freshledger-jsonl")
        named = [p.column for p in found.problems]
        assert named == ([] if field == "note" else [field])


def test_what_failed_moves_nothing(read):
    row = json.loads(json_line(PLAIN)) | {"status": "failed"}
    assert read(json.dumps(row)).problems[0].column == "amount"


def test_what_names_a_row_is_never_cut(read):
    for field, key in (("identity", "k" * 2001), ("group_key", "\u3042" * 700)):
        row = json.loads(json_line(PLAIN)) | {field: key}
        (problem,) = read(json.dumps(row), "freshledger-jsonl").problems
        assert problem.column == field
        row[field] = key[:300]
        assert getattr(read(json.dumps(row), "freshledger-jsonl").movements[0], field) == key[:300]
