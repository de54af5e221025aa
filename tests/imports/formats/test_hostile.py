"""Whatever the bytes, a parser answers with sentences that name a line, in flat memory."""

import json
import tracemalloc
from io import BytesIO, RawIOBase
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_explorers import (
    B_TOKENS,
    B_TRANSACTIONS,
    INTERNAL,
    ME,
    NOW,
    TOKENS,
    YOU,
    b_token,
    blockscout,
    normal,
    quoted,
    token,
)
from test_own import PLAIN
from test_wallet_histories import GENERATIONS, KOINLY, item

from freshledger.imports.formats import FORMATS, detect, recent
from freshledger.imports.formats.lines import MAX_LINE
from freshledger.imports.formats.own import csv_header, csv_line, json_line
from freshledger.imports.formats.records import Movement, Options, Problem, ReferenceLabel

TXID = "ab" * 32
HEADER = "transaction_hash,label,value,timestamp\n"
ROW = f"{TXID},lunch,-1,2018-06-29 13:29:07\n"
GOOD = {
    "freshledger-csv": csv_header() + csv_line(PLAIN),
    "freshledger-jsonl": json_line(PLAIN),
    "etherscan-transactions": NOW.format("ETH") + normal(ME, YOU, "0", "1"),
    "etherscan-internal": INTERNAL
    + quoted(
        TXID, 1, 1507383978, "x", YOU, YOU, "0", YOU, ME, "", "1.5", "0", "9", "1", "0", "", ""
    ),
    "etherscan-tokens": TOKENS + token(ME, YOU, "1"),
    "blockscout-transactions": B_TRANSACTIONS + blockscout(ME, YOU, "1", "OUT"),
    "blockscout-tokens": B_TOKENS + b_token("IN", 6, 1),
    "electrum-csv": "\n".join(GENERATIONS["4.8"]) + "\n",
    "electrum-json": json.dumps(
        {TXID: {"amount_sat": 5, "fee_sat": 1, "timestamp": 1530271747, "txid": TXID}}
    ),
    "bitcoin-core": json.dumps([item(), item(category="send", amount=-1, fee=-0.1)]),
    "koinly": KOINLY + "2026-03-02 09:00:00,1000,EUR,0.03,BTC,1,BTC,1000,EUR,,buy,\n",
    "bip329": json.dumps({"type": "tx", "ref": TXID, "label": "x"}) + "\n",
}
OPTIONS = Options(address=ME, timezone=ZoneInfo("Europe/Berlin"))


def parse(slug, content, options=OPTIONS):
    return list(FORMATS[slug].parse(BytesIO(content), options))


def test_every_format_has_its_example():
    assert GOOD.keys() == FORMATS.keys()


@pytest.mark.parametrize("slug", GOOD)
def test_a_format_is_recognised_by_itself_alone(slug):
    head = GOOD[slug].encode()
    assert [known for known, form in FORMATS.items() if form.detect(head)] == [slug]
    assert [r for r in parse(slug, head) if isinstance(r, Problem)] == []
    assert detect(b"\xef\xbb\xbf" + head).slug == slug


@pytest.mark.parametrize("slug", GOOD)
def test_a_byte_order_mark_and_crlf_change_nothing(slug):
    content = GOOD[slug].encode()
    windows = b"\xef\xbb\xbf" + content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    assert parse(slug, windows) == parse(slug, content)


@pytest.mark.parametrize("slug", [slug for slug in GOOD if GOOD[slug][0] not in "{["])
def test_lines_before_the_header(slug):
    head = (b"A report; of, something\n\n" * 9 + GOOD[slug].encode())[:65536]
    assert detect(head).slug == slug
    assert {r.line for r in parse(slug, head)} == {20}


def test_semicolons(read):
    found = read("transaction_hash;label;value;timestamp\n" + ROW.replace(",", ";"), timezone="UTC")
    assert len(found.movements) == 1


@pytest.mark.parametrize(
    "head", [b"", b"\n\n", b"hello", b"PK\x03\x04", b"{}", b"[]", b"{", b"\x00" * 100, b"a,b\n1,2\n",
             b"\xff\xfe" + HEADER.encode("utf-16-le"), b"<html>", b'{"a": ' * 5000],
)  # fmt: skip
def test_what_is_no_known_format(head):
    assert detect(head) is None
    for slug in FORMATS:
        records = parse(slug, head)
        assert [r for r in records if not isinstance(r, Problem)] == []


LATE = f"{TXID},x,1,2999-01-01 00:00:00\n"
HOSTILE = {
    "not this format": (b"a,b\n1,2\n", 1, None, True),
    "UTF-16": (b"\xff\xfe" + HEADER.encode("utf-16-le"), 1, None, True),
    "Latin-1": (HEADER.encode() + ROW.replace("lunch", "caf\xe9").encode("latin-1"), 2, None, True),
    "NUL": (HEADER.encode() + ROW.encode() + ROW.encode().replace(b"lunch", b"l\0nch"), 3, None, True),
    "an endless line": (HEADER.encode() + b"x" * (MAX_LINE + 10), 2, None, True),
    "an open quotation mark": ((HEADER + ROW + ROW.replace("lunch", '"lunch') + ROW).encode(), 3, None, True),
    "a last line cut off": ((HEADER + ROW + TXID + ",lun").encode(), 3, "value", True),
    "another header": ((HEADER + ROW + "transaction_hash,label,confirmations,value,timestamp\n").encode(), 3, None, True),
    "the same header": ((HEADER + ROW + HEADER + ROW).encode(), 3, None, False),
    "too few cells": ((HEADER + TXID + ",x\n" + ROW).encode(), 2, "value", False),
    "too many cells": ((HEADER + ROW[:-1] + ",x\n" + ROW).encode(), 2, None, False),
    "a huge cell": ((HEADER + ROW.replace("lunch", "x" * 200_000) + ROW).encode(), 2, None, False),
    "quotation marks": ((HEADER + ROW.replace("lunch", '"a"b') + ROW).encode(), 2, None, False),
    "1e400": ((HEADER + ROW.replace("-1", "1e400") + ROW).encode(), 2, "value", False),
    "1e99999999": ((HEADER + ROW.replace("-1", "1e99999999") + ROW).encode(), 2, "value", False),
    "NaN": ((HEADER + ROW.replace("-1", "NaN") + ROW).encode(), 2, "value", False),
    "a formula": ((HEADER + ROW.replace("-1", "=1+1") + ROW).encode(), 2, "value", False),
    "other digits": ((HEADER + ROW.replace("-1", "\uff11") + ROW).encode(), 2, "value", False),
    "the future": ((HEADER + LATE + ROW).encode(), 2, "timestamp", False),
    "no such day": ((HEADER + ROW.replace("06-29", "02-31") + ROW).encode(), 2, "timestamp", False),
    "the year 1": ((HEADER + ROW.replace("2018-06-29 13", "0001-01-01 00") + ROW).encode(), 2, "timestamp", False),
    "no hash": ((HEADER + ROW.replace(TXID, "") + ROW).encode(), 2, "transaction_hash", False),
}  # fmt: skip


def test_a_problem_quotes_a_columns_name_short_and_clean():
    header = HEADER.rstrip() + ",\u202eevil" + "x" * 500 + "\n"
    problem = parse("electrum-csv", (header + ROW + ROW).encode())[0]
    assert problem.column.startswith("evilxxx")
    assert len(problem.message) < 200


@pytest.mark.parametrize("name", HOSTILE)
def test_the_sentence_names_line_and_column(name):
    content, line, column, fatal = HOSTILE[name]
    records = parse("electrum-csv", content)
    problems = [r for r in records if isinstance(r, Problem)]
    assert [(p.line, p.column, p.fatal) for p in problems] == [(line, column, fatal)]
    assert len(problems[0].message) > 15
    if fatal:
        assert isinstance(records[-1], Problem)
    else:
        assert any(isinstance(r, Movement) for r in records)


JSON_HOSTILE = {
    "nested": b"[" * 200_000,
    "nested objects": b'{"a":' * 200_000,
    "cut off": b'[{"txid": "ab", "amo',
    "half an array": b"[1, 2",
    "two documents": b"[] []",
    "NaN": b"[NaN]",
    "no UTF-8": b'["\xff"]',
    "trailing comma": b"[1,]",
    "text": b'"text"',
    "key is no text": b"{1: 2}",
    "nothing": b"",
}


@pytest.mark.parametrize("slug", ["electrum-json", "bitcoin-core"])
@pytest.mark.parametrize("name", JSON_HOSTILE)
def test_json_that_is_none_ends_the_file(slug, name):
    records = parse(slug, JSON_HOSTILE[name])
    assert records[-1].fatal
    assert len(records[-1].message) > 15


@pytest.mark.parametrize("number", ["1" * 10_000, "1e400", "1e9999999999999999999999", "-1e-400"])
def test_json_numbers_beyond_all_measure_leave_their_entry_out(number):
    content = json.dumps([item(), item(amount="X", vout=1)]).replace('"X"', number).encode()
    records = parse("bitcoin-core", content)
    assert [(r.line, r.column) for r in records if isinstance(r, Problem)] == [(2, "amount")]
    assert len(records) == 2


@pytest.mark.parametrize("slug", GOOD)
@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=60, deadline=None)
@given(data=st.data())
def test_no_parser_raises_whatever_the_bytes(slug, data):
    good = GOOD[slug].encode()
    at = data.draw(st.integers(0, len(good)))
    length = data.draw(st.integers(0, 30))
    put = data.draw(
        st.one_of(
            st.binary(max_size=20),
            st.sampled_from(
                [
                    b'"',
                    b",",
                    b"\n",
                    b";",
                    b"{",
                    b"[",
                    b"1e400",
                    b"NaN",
                    b"\xff",
                    b"null",
                    b"-",
                    b"\\ud800",
                    b"true",
                ]
            ),
        )
    )
    content = good[:at] + put + good[at + length :]
    detect(content)
    for options in (OPTIONS, Options()):
        for record in parse(slug, content, options):
            assert isinstance(record, Movement | ReferenceLabel | Problem)
            if isinstance(record, Movement):
                record.identity.encode()
                record.note.encode()
                record.asset.encode()


class Endless(RawIOBase):
    """A file of `count` rows that is never in memory as a whole."""

    def __init__(self, start, row, count, between=b"", end=b""):
        self.parts = filter(None, self._parts(start, row, count, between, end))
        self.rest = b""

    @staticmethod
    def _parts(start, row, count, between, end):
        yield start
        for n in range(count):
            yield (between if n else b"") + row.replace(b"@@@@@@", b"%06d" % n)
        yield end

    def _fill(self, enough):
        while not enough() and (part := next(self.parts, b"")):
            self.rest += part

    def readline(self, limit=-1):
        self._fill(lambda: b"\n" in self.rest or len(self.rest) > limit)
        end = self.rest.find(b"\n") + 1 or len(self.rest)
        line, self.rest = self.rest[:end], self.rest[end:]
        return line

    def read(self, size=-1):
        self._fill(lambda: len(self.rest) >= size)
        piece, self.rest = self.rest[:size], self.rest[size:]
        return piece


ENDLESS = {
    "electrum-csv": (HEADER.encode(), ROW.replace(TXID, "@@@@@@" + TXID[6:]).encode()),
    "etherscan-tokens": (TOKENS.encode(), token(ME, YOU, "1.@@@@@@").encode()),
    "freshledger-csv": (csv_header().encode(), csv_line(PLAIN).encode()),
    "freshledger-jsonl": (b"", json_line(PLAIN).encode()),
    "bip329": (b"", GOOD["bip329"].replace(TXID, "@@@@@@" + TXID[6:]).encode()),
    "electrum-json": (b"{", GOOD["electrum-json"][1:-1].replace(TXID, "@@@@@@" + TXID[6:]).encode(), b",", b"}"),
    "bitcoin-core": (b"[", json.dumps(item()).replace(TXID, "@@@@@@" + TXID[6:]).encode(), b",\n", b"]"),
}  # fmt: skip


@pytest.mark.parametrize("slug", ENDLESS)
def test_memory_does_not_grow_with_the_file(slug, monkeypatch):
    monkeypatch.setattr(recent, "CAPACITY", 500)

    def peak(count):
        start, row, *more = ENDLESS[slug]
        file = Endless(start, row, count, *more)
        tracemalloc.start()
        read = sum(not isinstance(r, Problem) for r in FORMATS[slug].parse(file, OPTIONS))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return read, most

    few, many = 4_000, 12_000
    (read_few, first), (read_many, second) = peak(few), peak(many)
    assert read_many >= read_few + (many - few)
    assert second < first + 200_000
    assert second < 20_000_000
