"""Etherscan and Blockscout: three files of one address together, and the same things twice."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

ME = "0x" + "aa" * 20
YOU = "0x" + "bb" * 20
CONTRACT = "0x" + "cc" * 20
NOBODY = "0x" + "00" * 20
HASH = "0x" + "12" * 32
OTHER_HASH = "0x" + "34" * 32
TIME, MOMENT = "1507383978", datetime(2017, 10, 7, 13, 46, 18, tzinfo=UTC)

NOW = (
    '"Transaction Hash","Blockno","UnixTimestamp","DateTime (UTC)","From","To","ContractAddress",'
    '"Value_IN({0})","Value_OUT({0})","CurrentValue @ $2264.03996675132/Eth","TxnFee({0})",'
    '"TxnFee(USD)","Historical $Price/Eth","Status","ErrCode","Method","PrivateNote"\n'
)
OLD = (
    "Txhash,Blockno,UnixTimestamp,DateTime,From,To,ContractAddress,Value_IN(ETH),Value_OUT(ETH),"
    "CurrentValue @ $1/Eth,TxnFee(ETH),TxnFee(USD),Historical $Price/Eth,Status,ErrCode\r\n"
)
INTERNAL = (
    '"Transaction Hash","Blockno","UnixTimestamp","DateTime (UTC)","ParentTxFrom","ParentTxTo",'
    '"ParentTxETH_Value","From","TxTo","ContractAddress","Value_IN(ETH)","Value_OUT(ETH)",'
    '"CurrentValue @ $1/Eth","Historical $Price/Eth","Status","ErrCode","Type"\n'
)
TOKENS = (
    '"Transaction Hash","Blockno","UnixTimestamp","DateTime (UTC)","From","To","TokenValue",'
    '"USDValueDayOfTx","ContractAddress","TokenName","TokenSymbol"\n'
)
OLD_TOKENS = "Txhash,UnixTimestamp,DateTime,From,To,Value,ContractAddress,TokenName,TokenSymbol\n"
B_TRANSACTIONS = (
    "TxHash,BlockNumber,UnixTimestamp,FromAddress,ToAddress,ContractAddress,Type,Value,Fee,Status,"
    "ErrCode,CurrentPrice,TxDateOpeningPrice,TxDateClosingPrice,MethodName\r\n"
)
B_TOKENS = (
    "TxHash,BlockNumber,UnixTimestamp,FromAddress,ToAddress,TokenContractAddress,Type,"
    "TokenDecimals,TokenSymbol,TokensTransferred,TransactionFee,Status,ErrCode\r\n"
)
WHEN = "2017-10-07 13:46:18.000000Z"


def quoted(*cells):
    return ",".join(f'"{cell}"' for cell in cells) + "\n"


def normal(sender, to, came, went, *, fee="0.000441", status="", error="", txid=HASH, created=""):
    return quoted(txid, 1, TIME, "x", sender, to, created, came, went, "9", fee, "9", "311.26",
                  status, error, "Transfer", "my note")  # fmt: skip


def token(sender, to, amount, worth="N/A", symbol="USDC"):
    return quoted(HASH, 1, TIME, "x", sender, to, amount, worth, CONTRACT, "Coin", symbol)


def test_a_value_sent_and_its_fee(read):
    found = read(NOW.format("ETH") + normal(ME, YOU, "0", "0.5"))
    assert found.slug == "etherscan-transactions"
    sent, fee = found.movements
    assert (sent.type, sent.amount, sent.counterparty, sent.own_address) == (
        "send", Decimal("-0.5"), YOU, ME,
    )  # fmt: skip
    assert (sent.fiat_value, sent.fiat_currency) == (Decimal("-155.63"), "USD")
    assert (sent.occurred_at, sent.note, sent.chain) == (MOMENT, "my note", "ethereum")
    assert (fee.type, fee.amount, fee.identity) == (
        "fee", Decimal("-0.000441"), f"ethereum:{HASH}:fee",
    )  # fmt: skip
    assert sent.group_key == fee.group_key
    assert found.problems == []


def test_what_comes_in_has_no_fee_for_us(read):
    found = read(NOW.format("ETH") + normal(YOU, ME, "0.000000000000000001", "0"))
    assert [(m.type, m.amount) for m in found.movements] == [("receive", Decimal("1e-18"))]


def test_a_failed_row_moves_nothing_but_costs_its_fee(read):
    row = normal(ME, YOU, "0", "3", status="Error(0)", error="Out of gas")
    found = read(NOW.format("ETH") + row)
    assert [(m.type, m.status, m.amount) for m in found.movements] == [
        ("send", "failed", Decimal(0)),
        ("fee", "confirmed", Decimal("-0.000441")),
    ]


def test_a_call_without_value_is_its_fee_alone_also_as_the_first_row(read):
    call = normal(ME, CONTRACT, "0", "0", txid=OTHER_HASH)
    found = read(NOW.format("ETH") + call + normal(ME, YOU, "0", "1"))
    assert [(m.type, m.txid) for m in found.movements] == [
        ("fee", OTHER_HASH), ("send", HASH), ("fee", HASH),
    ]  # fmt: skip
    # Somebody else's call to us is neither ours nor a movement.
    found = read(NOW.format("ETH") + normal(YOU, ME, "0", "0"), address=ME)
    assert found.records == []


def test_calls_alone_tell_whose_file_it_is_by_the_address_in_every_row(read):
    rows = normal(ME, CONTRACT, "0", "0") + normal(ME, YOU, "0", "0", txid=OTHER_HASH)
    assert [m.type for m in read(NOW.format("ETH") + rows).movements] == ["fee", "fee"]
    found = read(NOW.format("ETH") + normal(ME, CONTRACT, "0", "0"))
    assert [(p.line, p.column) for p in found.problems] == [(2, "From")]


def test_sending_to_oneself_is_out_and_in_and_one_fee(read):
    found = read(NOW.format("ETH") + normal(ME, ME, "0", "2"))
    assert [(m.identity.rpartition(":")[2], m.amount) for m in found.movements] == [
        ("out", Decimal(-2)), ("in", Decimal(2)), ("fee", Decimal("-0.000441")),
    ]  # fmt: skip


def test_the_creation_of_a_contract_goes_to_the_contract(read):
    found = read(NOW.format("ETH") + normal(ME, "", "0", "1", created=CONTRACT))
    assert found.movements[0].counterparty == CONTRACT


@pytest.mark.parametrize(
    ("unit", "chain", "asset"),
    [("BNB", "bnb", "BNB"), ("POL", "polygon", "POL"), ("MATIC", "polygon", "POL"),
     ("AVAX", "avalanche", "AVAX"), ("xDAI", "gnosis", "xDAI")],
)  # fmt: skip
def test_the_unit_names_the_chain(read, unit, chain, asset):
    sent, _ = read(NOW.format(unit) + normal(ME, YOU, "0", "1")).movements
    assert (sent.chain, sent.asset) == (chain, asset)


def test_the_user_can_name_the_chain_but_not_one_with_another_unit(read):
    content = NOW.format("ETH") + normal(ME, YOU, "0", "1")
    assert {m.chain for m in read(content, chain="arbitrum").movements} == {"arbitrum"}
    for chain in ("bnb", "bitcoin", "nowhere"):
        assert read(content, chain=chain).fatal, chain
    assert "FTM" in read(NOW.format("FTM") + normal(ME, YOU, "0", "1")).fatal[0].message


def test_the_old_header_reads_the_same(read):
    row = f"{HASH},1,{TIME},9/12/2017 1:23:17 AM,{ME},{YOU},,0,0.5,9,0.000441,9,311.26,,\r\n"
    found = read(OLD + row)
    now = read(NOW.format("ETH") + normal(ME, YOU, "0", "0.5"))
    assert found.identities == now.identities
    assert found.sums == now.sums


def test_three_files_of_one_address_are_one_group_with_one_fee(read):
    internal = quoted(HASH, 1, TIME, "x", ME, CONTRACT, "0", CONTRACT, ME, "", "1.5", "0", "9",
                      "311.26", "0", "", "call")  # fmt: skip
    found = [
        read(NOW.format("ETH") + normal(ME, CONTRACT, "0", "0"), address=ME),
        read(INTERNAL + internal),
        read(TOKENS + token(ME, CONTRACT, "3,067.671", "$3,067.01"), address=ME),
    ]
    assert [f.slug for f in found] == [
        "etherscan-transactions", "etherscan-internal", "etherscan-tokens",
    ]  # fmt: skip
    movements = [m for f in found for m in f.movements]
    assert {m.group_key for m in movements} == {f"ethereum:{HASH}"}
    assert [(m.type, m.asset, m.amount) for m in movements] == [
        ("fee", "ETH", Decimal("-0.000441")),
        ("receive", "ETH", Decimal("1.5")),
        ("send", "USDC", Decimal("-3067.671")),
    ]
    assert movements[2].fiat_value == Decimal("-3067.01")


def test_internal_status_one_failed_and_zero_did_not(read):
    def row(status, error):
        return quoted(HASH, 1, TIME, "x", YOU, CONTRACT, "0", CONTRACT, ME, "", "1.5", "0", "9",
                      "311.26", status, error, "call")  # fmt: skip

    found = read(INTERNAL + row("0", "") + row("1", "Reverted"))
    assert [(m.status, m.amount) for m in found.movements] == [
        ("confirmed", Decimal("1.5")), ("failed", Decimal(0)),
    ]  # fmt: skip


def test_tokens_minted_burnt_passed_to_oneself_and_not_ours(read):
    rows = (token(NOBODY, ME, "1") + token(ME, NOBODY, "2") + token(ME, ME, "3")
            + token(YOU, CONTRACT, "4") + token(ME, YOU, "0"))  # fmt: skip
    found = read(TOKENS + rows, address=ME)
    assert [(m.type, m.amount) for m in found.movements] == [
        ("mint", Decimal(1)), ("burn", Decimal(-2)), ("send", Decimal(-3)),
        ("receive", Decimal(3)), ("send", Decimal(0)),
    ]  # fmt: skip
    assert [(p.line, p.fatal) for p in found.problems] == [(5, False)]
    assert len(set(found.identities)) == 5


def test_tokens_need_the_address(read):
    assert "address" in read(TOKENS + token(ME, YOU, "1")).fatal[0].message


def test_equal_token_transfers_have_equal_identities(read):
    found = read(TOKENS + token(YOU, ME, "1") * 2, address=ME)
    assert len(found.movements) == 2
    assert len(set(found.identities)) == 1


def test_old_tokens(read):
    row = f"{HASH},{TIME},x,{YOU},{ME},1.0,{CONTRACT},Coin,USDC\n"
    old, now = read(OLD_TOKENS + row, address=ME), read(TOKENS + token(YOU, ME, "1"), address=ME)
    assert old.identities == now.identities


def test_a_hostile_token_name_is_harmless(read):
    name = "\u202eCDSU\u200b\u0007 visit"
    assert read(TOKENS + token(YOU, ME, "1", symbol=name), address=ME).movements[0].asset == (
        "CDSU visit"
    )
    assert (
        len(read(TOKENS + token(YOU, ME, "1", symbol="A" * 5000), address=ME).movements[0].asset)
        == 100
    )


def blockscout(sender, to, value, kind, *, fee="441000000000000", status="ok", txid=HASH):
    return (f"{txid},4344914,{WHEN},{sender},{to},,{kind},{value},{fee},{status},,1,2,3,\r\n")  # fmt: skip


def test_blockscout_and_etherscan_of_one_address_are_the_same(read):
    wei = "500000000000000001"
    there = read(B_TRANSACTIONS + blockscout(ME, YOU, wei, "OUT"))
    here = read(NOW.format("ETH") + normal(ME, YOU, "0", "0.500000000000000001"))
    assert there.slug == "blockscout-transactions"
    assert there.identities == here.identities
    assert there.sums == here.sums == {"ETH": Decimal("-0.500441000000000001")}
    assert [m.occurred_at for m in there.movements] == [m.occurred_at for m in here.movements]


def test_blockscout_addresses_may_have_checksums(read):
    mine = "0x" + "Aa" * 20
    found = read(B_TRANSACTIONS + blockscout(mine, YOU, "1", "OUT"))
    assert found.identities == read(B_TRANSACTIONS + blockscout(ME, YOU, "1", "OUT")).identities


def test_blockscout_states(read):
    rows = (blockscout(YOU, ME, "5", "IN") + blockscout(ME, YOU, "5", "OUT", status="error")
            + blockscout(ME, YOU, "5", "OUT", fee="Max of 7", txid=OTHER_HASH)
            + blockscout(ME, YOU, "5", "", txid=OTHER_HASH))  # fmt: skip
    found = read(B_TRANSACTIONS + rows)
    assert [(m.type, m.status, m.amount) for m in found.movements] == [
        ("receive", "confirmed", Decimal("5e-18")),
        ("send", "failed", Decimal(0)),
        ("fee", "confirmed", Decimal("-0.000441")),
        ("send", "pending", Decimal("-5e-18")),
        ("fee", "pending", Decimal("-7e-18")),
    ]
    assert [(p.line, p.column) for p in found.problems] == [(5, "Type")]


def test_blockscout_without_the_method_column_and_on_another_chain(read):
    header = B_TRANSACTIONS.replace(",MethodName", "")
    row = blockscout(ME, YOU, "1", "OUT").replace(",3,\r\n", ",3\r\n")
    assert {m.asset for m in read(header + row, chain="gnosis").movements} == {"xDAI"}


def b_token(kind, decimals, amount, symbol="USDC"):
    return (f"{HASH},1,{WHEN},{ME if kind == 'OUT' else YOU},{YOU if kind == 'OUT' else ME},"
            f"{CONTRACT},{kind},{decimals},{symbol},{amount},100,ok,\r\n")  # fmt: skip


def test_blockscout_tokens_are_scaled_by_their_own_decimals(read):
    found = read(
        B_TOKENS + b_token("IN", 6, 3067671000) + b_token("OUT", 0, 2) + b_token("IN", "", 1)
    )
    assert found.slug == "blockscout-tokens"
    assert [(m.type, m.amount) for m in found.movements] == [
        ("receive", Decimal("3067.671")), ("send", Decimal(-2)),
    ]  # fmt: skip
    assert [(p.line, p.column) for p in found.problems] == [(4, "TokenDecimals")]
    etherscan = read(TOKENS + token(YOU, ME, "3,067.671"), address=ME)
    assert etherscan.identities == found.identities[:1]


def test_blockscout_tokens_without_decimals_cannot_be_read(read):
    row = f"{HASH},1,{WHEN},{YOU},{ME},{CONTRACT},IN,USDC,5,100,ok,\r\n"
    (problem,) = read(B_TOKENS.replace("TokenDecimals,", "") + row).problems
    assert (problem.fatal, problem.column) == (True, "TokenDecimals")


@pytest.mark.parametrize(("rows", "warned"), [(9_999, False), (10_000, True), (10_001, False)])
def test_a_file_of_exactly_the_cap_is_warned_about(read, rows, warned):
    found = read(B_TRANSACTIONS + blockscout(YOU, ME, "1", "IN") * rows)
    assert bool(found.problems) == warned
    assert not found.fatal
    assert len(found.movements) == rows
