"""Etherscan's three lists of one address, chosen together."""

from decimal import Decimal
from typing import Any

ME, YOU, TOKEN = ("0x" + pair * 20 for pair in ("aa", "bb", "cc"))
HASH = "0x" + "12" * 32
AT = f"{HASH},1,1507383978,2017-10-07 13:46:18"
NORMAL = (
    "Transaction Hash,Blockno,UnixTimestamp,DateTime (UTC),From,To,ContractAddress,Value_IN(ETH),"
    "Value_OUT(ETH),CurrentValue @ $1/Eth,TxnFee(ETH),TxnFee(USD),Historical $Price/Eth,Status,"
    f"ErrCode,Method\n{AT},{ME},{YOU},,0,0.5,1,0.000441,1,311.26,,,Swap\n"
)
INTERNAL = (
    "Transaction Hash,Blockno,UnixTimestamp,DateTime (UTC),ParentTxFrom,ParentTxTo,"
    "ParentTxETH_Value,From,TxTo,ContractAddress,Value_IN(ETH),Value_OUT(ETH),"
    "CurrentValue @ $1/Eth,Historical $Price/Eth,Status,ErrCode,Type\n"
    f"{AT},{ME},{YOU},0.5,{YOU},{ME},,0.1,0,1,311.26,0,,call\n"
)
TOKENS = (
    "Transaction Hash,Blockno,UnixTimestamp,DateTime (UTC),From,To,TokenValue,USDValueDayOfTx,"
    f"ContractAddress,TokenName,TokenSymbol\n{AT},{YOU},{ME},1500,N/A,{TOKEN},Coin,USDC\n"
)


async def test_one_transaction_is_one_group_with_one_fee(desk: Any) -> None:
    files = [desk.text(text) for text in (NORMAL, INTERNAL, TOKENS)]
    assert await desk.bring(*files, address=ME) == (4, 0, 0)
    assert len(set(await desk.rows("group_key"))) == 1
    assert sorted(await desk.rows("type, asset, amount")) == [
        ("fee", "ETH", Decimal("-0.000441")),
        ("receive", "ETH", Decimal("0.1")),
        ("receive", "USDC", Decimal(1500)),
        ("send", "ETH", Decimal("-0.5")),
    ]
    found = await desk.psql.fetch(
        "SELECT chain, address FROM wallet_addresses WHERE ledger_id = $1", desk.ledger_id
    )
    assert [tuple(row) for row in found] == [("ethereum", ME)]
    assert await desk.bring(*reversed(files), address=ME) == (0, 4, 0)
    assert await desk.bring(files[0]) == (0, 2, 0)
