"""BIP-329 as wallets really write it."""

import json
from decimal import Decimal

import pytest

from freshledger.imports.formats.bip329 import to_line
from freshledger.imports.formats.records import ReferenceLabel

TXID = "f91d0a8a78462bc59398f2c5d7a84fcff491c26ba54c4833478b202796c8aafd"


def labels(found):
    return [r for r in found.records if isinstance(r, ReferenceLabel)]


def line(**item):
    return json.dumps(item) + "\n"


def test_ids_labels_and_duplicates_are_made_alike(read):
    content = (
        line(type="tx", ref=TXID.upper(), label="  rent  ")
        + line(type="tx", ref=TXID, label="rent")
        + "\n"
        + line(type="tx", ref=TXID, label="home")
        + line(type="output", ref=f"{TXID.upper()}:1", spendable=False)
        + line(type="addr", ref="BC1Q34AQ5DRPUWY3WGL9LHUP9892QP6SVR8LDZYY7C", label="x")
    )
    found = read(content)
    assert found.problems == []
    assert [(r.line, r.ref, r.label, r.spendable) for r in labels(found)] == [
        (1, TXID, "rent", None),
        (4, TXID, "home", None),
        (5, f"{TXID}:1", None, False),
        (6, "bc1q34aq5drpuwy3wgl9lhup9892qp6svr8ldzyy7c", "x", None),
    ]


@pytest.mark.parametrize(
    ("item", "column"),
    [({"type": "coin", "ref": "x", "label": "x"}, "type"),
     ({"type": 5, "ref": TXID}, "type"),
     ({"ref": TXID, "label": "x"}, "type"),
     ({"type": "tx", "ref": "nothex", "label": "x"}, "ref"),
     ({"type": "tx", "ref": [TXID], "label": "x"}, "ref"),
     ({"type": "tx", "label": "x"}, "ref"),
     ({"type": "input", "ref": TXID}, "ref"),
     ({"type": "tx", "ref": TXID, "label": {"a": 1}}, "label"),
     ({"type": "tx", "ref": TXID, "label": 5}, "label"),
     ({"type": "output", "ref": f"{TXID}:0", "spendable": "false"}, "spendable"),
     ({"type": "tx", "ref": TXID, "height": 10**90}, "number")],
)  # fmt: skip
def test_lines_that_cannot_be_read_are_left_out_by_name(read, item, column):
    good = line(type="tx", ref=TXID, label="kept")
    found = read(good + line(**item) + "no json\n" + "[1]\n")
    assert [r.label for r in labels(found)] == ["kept"]
    assert [(p.line, p.column, p.fatal) for p in found.problems] == [
        (2, column, False), (3, None, False), (4, None, False),
    ]  # fmt: skip


def test_a_missing_or_empty_label_says_nothing(read):
    content = line(type="tx", ref=TXID, label="", height=1) + line(type="tx", ref=TXID, height=2)
    assert [r.label for r in labels(read(content))] == [None, None]


def test_long_labels_are_cut_and_said(read):
    found = read(line(type="tx", ref=TXID, label="x" * 300))
    assert labels(found)[0].label == "x" * 255
    assert [(p.column, p.fatal) for p in found.problems] == [("label", False)]


def test_hidden_characters_go(read):
    found = read(line(type="tx", ref=TXID, label="a\u202eb\u0000c\ud800", x="\u0000"))
    (label,) = labels(found)
    assert (label.label, label.extra) == ("abc", {"x": ""})


def test_further_fields_are_kept_exactly_and_written_again(read):
    written = (
        f'{{"type":"tx","ref":"{TXID}","label":"Ann","origin":"wpkh([d34db33f/84h/0h/0h])",'
        '"rate":{"USD":105620.00},"fee":100,"fmv":{"EUR":0.10}}'
    )
    (label,) = labels(read(written))
    assert label.extra["rate"] == {"USD": Decimal("105620.00")}
    again = json.loads(to_line(label), parse_float=Decimal)
    assert again == json.loads(written, parse_float=Decimal)
    assert labels(read(to_line(label))) == [label]


def test_a_last_line_that_is_cut_off_ends_the_file(read):
    found = read(line(type="tx", ref=TXID, label="x") + '{"type": "tx", "re')
    assert [(p.line, p.fatal) for p in found.problems] == [(2, True)]
