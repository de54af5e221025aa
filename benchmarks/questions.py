"""What the measured ledgers are asked for: query strings of the transactions page, by kind."""

from benchmarks.rows import HOT as FRIEND
from benchmarks.rows import HOT_COIN as COIN
from benchmarks.rows import NEVER
from benchmarks.rows import OLD_FRIEND as OLD

ALONE = (
    "", "wallet=1", "wallet=8", "wallet=9", "address=0x" + "0" * 39 + "3", f"address={NEVER}",
    f"counterparty={FRIEND}", f"counterparty={OLD}", f"counterparty={NEVER}", "contact=1",
    "contact=2", "contact=3", "contact=4", "contact=40", "type=receive", "type=reward",
    "type=mint", "asset=BTC", "asset=OLD", "asset=RARE", "asset=NOTHING",
    "asset=0x" + "c" * 37 + "111", "chain=bitcoin", "chain=base", "chain=solana", "label=1",
    "label=2", "label=3", "label=4", "label=5", "label=6", "label=none", "status=confirmed",
    "status=pending", "status=failed", "txid=" + "a" * 64,
)  # fmt: skip
OR = (
    "asset=BTC&asset=RARE", "type=fee&type=trade&type=mint", "wallet=8&wallet=1",
    "label=1&label=2&label=4", "contact=1&contact=2", "contact=4&contact=40",
    "status=pending&status=failed",
)  # fmt: skip
PAIRS = (
    "asset=BTC&type=receive", "asset=BTC&wallet=1", "wallet=1&type=receive", "label=1&asset=BTC",
    "label=2&wallet=1", "label=5&type=receive", "contact=1&asset=BTC",
    f"counterparty={FRIEND}&asset=ETH", "asset=ETH&chain=base", "wallet=1&status=failed",
)  # fmt: skip
NO_MATCH = (
    "asset=AIR&type=send", "asset=OLD&wallet=1", "asset=BTC&wallet=2", "wallet=1&type=mint",
    "label=3&asset=BTC", "label=1&asset=OLD", "label=1&wallet=8", "label=5&type=send",
    "contact=1&asset=OLD", "contact=2&asset=BTC", "contact=3&asset=AIR",
    f"counterparty={OLD}&asset=BTC", f"counterparty={COIN}&asset=ETH",
    "asset=BTC&chain=ethereum", "wallet=8&status=pending",
)  # fmt: skip
"""Pairs of which each has many rows, and both together none."""

BOUNDED = (
    "asset=BTC&from=2016-01-01&to=2016-01-31", "label=1&from=2021-01-01&to=2021-01-31",
    "asset=OLD&from=2019-01-01", "asset=BTC&to=2014-06-01", "label=3&from=2020-01-01",
)  # fmt: skip
"""An equality within a time; the last three have no rows."""

RANGES = (
    "from=2018-01-01&to=2018-01-31", "min_amount=99.9", "min_amount=99.9&max_amount=99.95",
    "min_amount=77.777&max_amount=77.777", "min_amount=1000", "max_amount=0",
    "asset=BTC&min_amount=99.9", "asset=RARE&min_amount=99.9", "wallet=1&max_amount=0",
    "type=reward&min_amount=99.99", "from=2018-01-01&to=2018-01-31&min_amount=99.9",
    "from=2018-01-01&to=2018-01-31&from=2020-01-01&to=2020-01-31",
)  # fmt: skip
TEXTS = (
    f"counterparty={FRIEND[:6]}*", "counterparty=0xeee*", "counterparty=0x*", "q=salary",
    "q=xylophone", "q=lunch 77", "q=labels 4", "q=labels", "q=contacts 40", "q=contacts 4",
    "q=abcdef", "q=abcd", "q=nothing of that", "q=lunch&asset=RARE", "q=salary&asset=OLD",
    "q=xylophone&asset=BTC", "q=lunch 77&wallet=8", "q=paid&label=4",
)  # fmt: skip
NEGATIONS = (
    "chain=none", "not.asset=BTC", "not.label=1", "not.wallet=1", "not.contact=1", "not.contact=4",
    "contact=none", "not.q=lunch", "not.q=xylophone", "not.type=receive&not.type=send",
    "not.status=confirmed", "not.min_amount=0.002", "asset=BTC&not.chain=base",
    "asset=ETH&not.wallet=8", "asset=BTC&not.wallet=1", "not.asset=BTC&type=receive",
    "wallet=1&not.asset=BTC", "asset=BTC&not.type=receive&not.type=send", "label=1&not.asset=BTC",
    f"not.counterparty={OLD}&to=2014-06-01", "not.from=2014-06-01",
)  # fmt: skip

SEARCHED = "asset=BTC&not.chain=bitcoin"
"""What is left out is all there is, and must be walked through to the end to know it."""

EQUALITIES = (*ALONE, *OR, *PAIRS, *NO_MATCH, *BOUNDED)
OTHERS = (*RANGES, *TEXTS, *NEGATIONS)
TYPICAL = ("asset=BTC", "label=1&asset=BTC", "min_amount=99.9", "q=lunch 77")
"""One of each kind, for curves."""
