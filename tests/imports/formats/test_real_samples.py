"""Real exports: sums per asset are those of the file, read without our parsers."""

import csv
import io
import json
from decimal import Decimal

import pytest

from freshledger.imports.formats import detect
from freshledger.imports.formats.records import ReferenceLabel

KINDS = ("no_fx", "with_fx")


def electrum(sample, kind, ending):
    return sample(f"electrum/history_{kind}_client_4_5_2_9dk_with_ln.{ending}")


@pytest.mark.parametrize("kind", KINDS)
def test_electrum_csv_sums_are_those_of_the_file(sample, read, kind):
    content = electrum(sample, kind, "csv")
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    found = read(content, timezone="Europe/Berlin")
    assert found.slug == "electrum-csv"
    assert found.problems == []
    expected = sum(
        (Decimal(r["amount_chain_bc"]) + Decimal(r["amount_lightning_bc"]) for r in rows),
        Decimal(0),
    )
    assert found.sums == {"BTC": expected}
    fees = sum((Decimal(r["network_fee_bc"]) for r in rows), Decimal(0))
    assert -sum(m.amount for m in found.movements if m.type == "fee") == fees


@pytest.mark.parametrize("kind", KINDS)
def test_electrum_json_is_exact_to_the_millisatoshi(sample, read, kind):
    content = electrum(sample, kind, "json")
    entries = []
    for item in json.loads(content).values():
        entries += item.get("children", [item])
    milli = sum(e.get("amount_sat", 0) * 1000 + e.get("amount_msat", 0) for e in entries)
    found = read(content)
    assert found.slug == "electrum-json"
    assert found.problems == []
    assert found.sums == {"BTC": Decimal(milli).scaleb(-11)}


@pytest.mark.parametrize("kind", KINDS)
def test_electrum_json_is_the_oracle_of_its_csv(sample, read, kind):
    of_csv = read(electrum(sample, kind, "csv"), timezone="Europe/Berlin")
    of_json = read(electrum(sample, kind, "json"))
    by_identity = {m.identity: m for m in of_json.movements}
    assert len(by_identity) == len(of_json.movements) == len(of_csv.movements)
    differing = []
    for movement in of_csv.movements:
        oracle = by_identity.pop(movement.identity)
        same = ("group_key", "type", "status", "asset", "chain", "txid", "note", "occurred_at")
        assert [getattr(movement, n) for n in same] == [getattr(oracle, n) for n in same]
        if movement.amount != oracle.amount:
            differing.append(abs(movement.amount - oracle.amount))
    assert by_identity == {}
    # The CSV writes the fee of two Lightning payments in satoshis.
    assert differing == [Decimal("0.000000001")] * 2


def test_electrum_channels_are_transfers_between_the_layers(sample, read):
    found = read(electrum(sample, "with_fx", "json"))
    group = "bitcoin:66f846809c2d45842f17e40fb6a696288c3274a66b0bf71107940f250978832e"
    legs = {m.identity.removeprefix(group): m for m in found.movements if m.group_key == group}
    assert {name: (m.type, m.amount) for name, m in legs.items()} == {
        ":chain": ("transfer", Decimal("0.00302547")),
        ":lightning": ("transfer", Decimal("-0.00302547")),
        ":fee": ("fee", Decimal("-0.00000183")),
    }
    sent = next(m for m in found.movements if m.identity.startswith("bitcoin:0ef1c9"))
    assert (sent.amount, sent.fiat_value, sent.fiat_currency) == (
        Decimal("-0.002"), Decimal("-10.63"), "EUR",
    )  # fmt: skip


@pytest.mark.parametrize("name", ["bip-0329-vectors.jsonl", "python-bip329-test-vectors.jsonl"])
def test_bip329_vectors(sample, read, name):
    content = sample(f"bip329/{name}")
    lines = [json.loads(line) for line in content.decode().splitlines()]
    found = read(content)
    assert found.slug == "bip329"
    assert [
        {k: v for k in ("type", "ref", "label", "origin", "spendable")
         if (v := getattr(r, k)) is not None}
        for r in found.records if isinstance(r, ReferenceLabel)
    ] == lines  # fmt: skip
    assert found.problems == []


@pytest.mark.parametrize(
    "name",
    ["test_binance_betheth", "test_manual_intra", "test_manual_in", "test_manual_out",
     "test_binance_autoinvest", "test_trezor_alice_btc", "test_trezor_bob_btc"],
)  # fmt: skip
def test_formats_that_are_not_supported_are_not_recognised(sample, name):
    assert detect(sample(f"dali-rp2/{name}.csv")) is None
