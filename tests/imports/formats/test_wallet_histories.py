"""Electrum's generations, Bitcoin Core and Koinly."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

A, B = "ab" * 32, "cd" * 32
WHEN = "2018-06-29 13:29:07"

GENERATIONS = {
    "4.8": (("oc_transaction_hash,ln_payment_hash,label,confirmations,amount_chain_bc,"
            "amount_lightning_bc,fiat_value,network_fee_bc,fiat_fee,timestamp"),
            f"{A},,lunch,9,-0.00201,0.,No Data,0.00001,No Data,{WHEN}"),
    "4.6": (("oc_transaction_hash,ln_payment_hash,label,confirmations,amount_chain_bc,"
            "amount_lightning_bc,fiat_value,network_fee_satoshi,fiat_fee,timestamp"),
            f"{A},,lunch,9,-0.00201,0.,,1000,,{WHEN}"),
    "3.3": ("transaction_hash,label,confirmations,value,fiat_value,fee,fiat_fee,timestamp",
            f"{A},lunch,9,-0.00201,No Data,0.00001,No Data,{WHEN}"),
    "2013": ("transaction_hash,label,confirmations,value,fee,balance,timestamp",
             f"{A},lunch,9,-0.00201,0.00001,5.,{WHEN}"),
    "3.0": ("transaction_hash,label,confirmations,value,timestamp",
            f"{A},lunch,9,-0.00201,{WHEN}"),
    "2.x": ("transaction_hash,label,value,timestamp", f"{A},lunch,-0.00201,{WHEN}"),
}  # fmt: skip


@pytest.mark.parametrize("generation", GENERATIONS)
def test_every_header_of_electrum(read, generation):
    found = read("\n".join(GENERATIONS[generation]) + "\n", timezone="Europe/Berlin")
    assert found.slug == "electrum-csv"
    assert found.problems == []
    assert found.sums == {"BTC": Decimal("-0.00201")}
    sent = found.one("send")
    assert (sent.identity, sent.note, sent.fiat_value) == (f"bitcoin:{A}:chain", "lunch", None)
    assert sent.occurred_at == datetime(2018, 6, 29, 11, 29, 7, tzinfo=UTC)
    if generation not in {"3.0", "2.x"}:
        assert found.one("fee").amount == Decimal("-0.00001")
        assert found.one("fee").note == ""


def test_electrum_csv_needs_a_zone(read):
    found = read("\n".join(GENERATIONS["2.x"]))
    assert "zone" in found.fatal[0].message


def test_electrum_on_another_chain(read):
    found = read("\n".join(GENERATIONS["4.8"]), timezone="UTC", chain="bitcoin-testnet")
    assert {(m.chain, m.asset) for m in found.movements} == {("bitcoin-testnet", "tBTC")}
    assert read("\n".join(GENERATIONS["4.8"]), timezone="UTC", chain="nowhere").fatal


def test_electrum_what_stays_in_the_wallet_is_the_fee_alone(read):
    found = read(f"transaction_hash,label,confirmations,value,fee,balance,timestamp\n"
                 f"{A},mix,0,-0.00001,0.00001,5.,{WHEN}\n", timezone="UTC")  # fmt: skip
    assert [(m.type, m.status, m.note) for m in found.movements] == [("fee", "pending", "mix")]


def test_electrum_rows_that_are_not_confirmed_wait(read):
    found = read(f"transaction_hash,label,value,timestamp\n{A},,1,\n", timezone="UTC")
    assert [(p.line, p.column, p.fatal) for p in found.problems] == [(2, "timestamp", False)]


def item(**more):
    return {"txid": A, "category": "receive", "amount": 0.1, "vout": 0, "confirmations": 6,
            "address": "bc1qxyz", "time": 1530271747, "label": "rent", **more}  # fmt: skip


def test_bitcoin_core_counts_the_fee_once_for_all_outputs(read):
    items = [
        item(category="send", amount=-0.3, fee=-0.00001, vout=1),
        item(category="send", amount=-0.2, fee=-0.00001, vout=0),
        item(txid=B),
    ]
    found = read(json.dumps(items, indent=1))
    assert found.slug == "bitcoin-core"
    assert [(m.identity, m.type, m.amount) for m in found.movements] == [
        (f"bitcoin:{A}:send:1", "send", Decimal("-0.3")),
        (f"bitcoin:{A}:fee", "fee", Decimal("-0.00001")),
        (f"bitcoin:{A}:send:0", "send", Decimal("-0.2")),
        (f"bitcoin:{B}:receive:0", "receive", Decimal("0.1")),
    ]
    sent, received = found.movements[0], found.movements[-1]
    assert (sent.counterparty, sent.own_address, sent.note) == ("bc1qxyz", None, "rent")
    assert (received.counterparty, received.own_address) == (None, "bc1qxyz")


def test_bitcoin_core_states(read):
    items = [
        item(confirmations=0),
        item(confirmations=-2, vout=1),
        item(abandoned=True, confirmations=0, vout=2, category="send", amount=-1, fee=-0.1),
        item(category="immature", vout=3),
        item(category="generate", vout=4),
        item(category="orphan", vout=5, confirmations=0),
    ]
    found = read(json.dumps(items))
    assert [(m.type, m.status, m.amount) for m in found.movements] == [
        ("receive", "pending", Decimal("0.1")),
        ("receive", "failed", Decimal(0)),
        ("send", "failed", Decimal(0)),
        ("fee", "failed", Decimal(0)),
        ("reward", "pending", Decimal("0.1")),
        ("reward", "confirmed", Decimal("0.1")),
        ("reward", "failed", Decimal(0)),
    ]


def test_bitcoin_core_a_mined_coin_keeps_its_name_when_it_matures(read):
    young, old = (read(json.dumps([item(category=c)])) for c in ("immature", "generate"))
    assert young.identities == old.identities


def test_bitcoin_core_listsinceblock_reads_what_was_removed_once(read):
    document = {"transactions": [item()], "removed": [item(), item(vout=1)], "lastblock": "00"}
    found = read(json.dumps(document))
    assert found.identities == [f"bitcoin:{A}:receive:0", f"bitcoin:{A}:receive:1"]


def test_bitcoin_core_bad_items_are_named(read):
    items = [item(), item(vout=-1), item(category="x"), 5, item(vout=1, amount="1e400"),
             item(vout=2, time=99999999999)]  # fmt: skip
    found = read(json.dumps(items))
    assert [(p.line, p.column) for p in found.problems] == [
        (2, "vout"), (3, "category"), (4, None), (5, "amount"), (6, "time"),
    ]  # fmt: skip
    assert len(found.movements) == 1
    assert not found.fatal


KOINLY = (
    "Date,Sent Amount,Sent Currency,Received Amount,Received Currency,Fee Amount,Fee Currency,"
    "Net Worth Amount,Net Worth Currency,Label,Description,TxHash\n"
)


def test_koinly_a_trade_is_two_movements_and_a_fee_of_one_group(read):
    found = read(KOINLY + "2026-03-02 09:00:00,1000,EUR,0.03,BTC,0.0001,BTC,1000,EUR,,buy,\n")
    assert found.slug == "koinly"
    assert [(m.type, m.asset, m.amount) for m in found.movements] == [
        ("trade", "EUR", Decimal(-1000)), ("trade", "BTC", Decimal("0.03")),
        ("fee", "BTC", Decimal("-0.0001")),
    ]  # fmt: skip
    assert len({m.group_key for m in found.movements}) == 1
    assert [m.fiat_value for m in found.movements] == [Decimal(-1000), Decimal(1000), None]
    assert [m.note for m in found.movements] == ["buy", "buy", ""]


def test_koinly_labels_types_and_names(read):
    rows = (
        f"2026-03-02 09:00 UTC,,,5,WFLR;9546698,,,,,airdrop,,0x{A}\n"
        f"2026-03-02T09:00:00Z,,,5,USD,,,,,salary,,\n"
        f"2026-03-02 09:00:00,2,ETH,,,,,7,EUR,gift,,\n"
        f"2026-03-02 09:00:00,,,,,1,ETH,,,,only a fee,\n"
    )
    found = read(KOINLY + rows)
    assert [(m.type, m.asset, m.labels) for m in found.movements] == [
        ("reward", "WFLR", ("airdrop",)), ("income", "USD", ("salary",)),
        ("send", "ETH", ("gift",)), ("fee", "ETH", ()),
    ]  # fmt: skip
    assert found.movements[0].group_key == f"0x{A}"
    assert found.movements[3].note == "only a fee"


def test_koinly_prices_labels_and_notes_do_not_name_a_row(read):
    before = read(KOINLY + "2026-03-02 09:00:00,1,ETH,,,,,7,EUR,,,\n")
    after = read(KOINLY + "2026-03-02 09:00:00,1.0,ETH,,,,,8,EUR,gift,to Ann,\n")
    assert before.identities == after.identities


def test_koinly_rows_that_cannot_be(read):
    rows = ("2026-03-02 09:00:00,,,,,,,,,,,\n" "2026-03-02 09:00:00,-1,ETH,,,,,,,,,\n"
            "2026-03-02 09:00:00,1,,,,,,,,,,\n" "02/03/2026,1,ETH,,,,,,,,,\n")  # fmt: skip
    found = read(KOINLY + rows)
    assert [(p.line, p.column) for p in found.problems] == [
        (2, "Sent Amount"), (3, "Sent Amount"), (4, "Sent Currency"), (5, "Date"),
    ]  # fmt: skip
