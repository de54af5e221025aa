"""Electrum: the JSON of the same wallet is the oracle of the CSV; every header since 2013."""

import csv
import json
from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from freshledger.imports.formats import detect
from freshledger.imports.formats.records import Movement, Problem

NAME = "electrum/history_{}_fx_client_4_5_2_9dk_with_ln.{}"
ZONE = ZoneInfo("Europe/Berlin")
"""Where the samples were exported: the CSV does not say it, the unix times of the JSON do."""
TXID = "7726939a1246c0b99c2f30cfa21504af5b458755231b2cdc1fa1e9af2d9d70ba"

HEADERS = {
    "2013": (
        "transaction_hash,label,confirmations,value,fee,balance,timestamp",
        "{},rent,12,-0.5,0.0001,1.5,2013-10-04 12:36",
    ),
    "short": ("transaction_hash,label,value,timestamp", "{},rent,-0.5,2015-10-04 12:36:00"),
    "before fees": (
        "transaction_hash,label,confirmations,value,timestamp",
        "{},rent,12,-0.5,2016-10-04 12:36:00",
    ),
    "with fiat": (
        "transaction_hash,label,confirmations,value,fiat_value,fee,fiat_fee,timestamp",
        "{},rent,12,-0.5,No Data,0.0001,No Data,2019-10-04 12:36:00",
    ),
    "Lightning": (
        (
            "oc_transaction_hash,ln_payment_hash,label,confirmations,amount_chain_bc,"
            "amount_lightning_bc,fiat_value,network_fee_bc,fiat_fee,timestamp"
        ),
        "{},,rent,12,-0.5,0.,-100.00,0.0001,0.02,2024-10-04 12:36:00",
    ),
}


def sums(records: list[Movement]) -> dict[str, Decimal]:
    totals: dict[str, Decimal] = defaultdict(Decimal)
    for record in records:
        assert isinstance(record, Movement), record
        totals[record.asset] += record.amount
    return dict(totals)


@pytest.mark.parametrize("fiat", ["no", "with"])
def test_sums_are_those_of_the_file(read, sample, fiat):
    path = sample(NAME.format(fiat, "csv"))
    with path.open(newline="") as lines:
        expected = sum(
            Decimal(row["amount_chain_bc"]) + Decimal(row["amount_lightning_bc"])
            for row in csv.DictReader(lines)
        )
    assert sums(read("electrum-csv", path.read_bytes(), timezone=ZONE)) == {"BTC": expected}


@pytest.mark.parametrize("fiat", ["no", "with"])
def test_sums_of_the_json_are_its_own_to_the_last_millisatoshi(read, sample, fiat):
    path = sample(NAME.format(fiat, "json"))
    entries = json.loads(path.read_text()).values()
    parts = [part for entry in entries for part in entry.get("children", [entry])]
    expected = sum(
        Decimal(part.get("amount_sat") or 0) / 10**8
        + Decimal(part.get("amount_msat") or 0) / 10**11
        for part in parts
    )
    assert sums(read("electrum-json", path.read_bytes())) == {"BTC": expected}


@pytest.mark.parametrize("fiat", ["no", "with"])
def test_csv_and_json_name_the_same_movements(read, sample, fiat):
    from_csv = {
        one.identity: one
        for one in read(
            "electrum-csv", sample(NAME.format(fiat, "csv")).read_bytes(), timezone=ZONE
        )
    }
    from_json = {
        one.identity: one
        for one in read("electrum-json", sample(NAME.format(fiat, "json")).read_bytes())
    }
    assert from_csv.keys() == from_json.keys()
    differing = {
        identity
        for identity, one in from_csv.items()
        if (one.amount, one.type, one.occurred_at, one.note, one.group_key)
        != (
            from_json[identity].amount,
            from_json[identity].type,
            from_json[identity].occurred_at,
            from_json[identity].note,
            from_json[identity].group_key,
        )
    }
    # The CSV rounds two Lightning fees by 100 msat; what was sent is equal.
    assert {identity[8:72] for identity in differing} <= {
        "9d166fea25720d207108cce24247f6c553ff5ed9ef83746b9400621456d84921",
        "a45b23f05e51f0ac22763ce1a3f028f30a5519f6779839fdd1df8fd037ffe75f",
    }
    for identity in differing:
        assert abs(from_csv[identity].amount - from_json[identity].amount) <= Decimal("1E-9")


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_times_are_those_of_the_json(read, sample, kind):
    moments = {
        entry["timestamp"]
        for entry in json.loads(sample(NAME.format("no", "json")).read_text()).values()
    }
    found = read(f"electrum-{kind}", sample(NAME.format("no", kind)).read_bytes(), timezone=ZONE)
    assert {int(one.occurred_at.timestamp()) for one in found} == moments


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_a_channel_moves_between_the_layers_and_costs_the_fee(read, sample, kind):
    txid = "97767fdefef3152319363b772914d71e5eb70e793b835c13dce20037d3ac13fe"
    found = read(f"electrum-{kind}", sample(NAME.format("no", kind)).read_bytes(), timezone=ZONE)
    legs = {one.identity: (one.type, one.amount) for one in found if one.txid == txid}
    assert legs == {
        f"bitcoin:{txid}:chain": ("transfer", Decimal("-0.00302547")),
        f"bitcoin:{txid}:lightning": ("transfer", Decimal("0.00302547")),
        f"bitcoin:{txid}:fee": ("fee", Decimal("-0.00000153")),
    }


@pytest.mark.parametrize("generation", HEADERS)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_header_generation(read, generation, end):
    header, row = HEADERS[generation]
    content = end.join([header, row.format(TXID), ""]).encode()
    found = detect(content)
    assert found is not None
    assert found.slug == "electrum-csv"
    movements = read(found.slug, content, timezone=ZONE)
    assert sum(one.amount for one in movements) == Decimal("-0.5")
    sent = movements[0]
    assert (sent.identity, sent.note, sent.type) == (f"bitcoin:{TXID}:chain", "rent", "send")
    # Each is written at 12:36 in Berlin, in October: UTC is two hours behind.
    assert (sent.occurred_at.hour, sent.occurred_at.minute) == (10, 36)
    fees = [one.amount for one in movements if one.type == "fee"]
    assert fees == ([Decimal("-0.0001")] if "fee" in header else [])


def test_no_data_is_no_fiat_value(read):
    header, row = HEADERS["with fiat"]
    content = f"{header}\n{row.format(TXID)}\n".encode()
    assert {one.fiat_value for one in read("electrum-csv", content, timezone=ZONE)} == {None}


def test_a_header_after_other_lines_a_bom_and_semicolons(read):
    header, row = HEADERS["with fiat"]
    text = f"\ufeffmy wallet\n\n{header}\n{row.format(TXID)}\n".replace(",", ";")
    (sent, fee) = read("electrum-csv", text.encode(), timezone=ZONE)
    assert (sent.line, fee.line) == (4, 4)


def test_without_a_zone_nothing_is_guessed(read):
    header, row = HEADERS["Lightning"]
    (problem,) = read("electrum-csv", f"{header}\n{row.format(TXID)}\n".encode())
    assert isinstance(problem, Problem)
    assert problem.fatal
    assert problem.column == "timestamp"


def test_an_hour_that_the_clocks_repeat_is_the_first(read):
    header, _ = HEADERS["short"]
    content = f"{header}\n{TXID},x,1,2015-10-25 02:30:00\n".encode()
    (one,) = read("electrum-csv", content, timezone=ZONE)
    assert one.occurred_at == datetime(2015, 10, 25, 0, 30, tzinfo=UTC)


def test_what_is_not_confirmed_yet_is_said(read):
    entry = {"txid": TXID, "amount_sat": 5, "timestamp": None, "height": 0, "confirmations": 0}
    (problem,) = read("electrum-json", json.dumps({TXID: entry}).encode())
    assert isinstance(problem, Problem)
    assert problem.column == "timestamp"
    assert problem.line == 1


def test_the_chain_that_is_chosen(read):
    header, row = HEADERS["short"]
    (one,) = read(
        "electrum-csv", f"{header}\n{row.format(TXID)}\n".encode(), timezone=ZONE,
        chain="bitcoin-testnet",
    )  # fmt: skip
    assert (one.asset, one.chain) == ("tBTC", "bitcoin-testnet")
