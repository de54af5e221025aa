"""Bitcoin Core's listtransactions and listsinceblock, as the JSON they print.

An item is one output: `chain:txid:type:vout` names it, the type being send, receive or reward:
coins grow from the category immature to generate or orphan. Each output sent repeats the fee of its
transaction; it is counted once: `chain:txid:fee`. The chain is Bitcoin unless another is
chosen. What lost its block (`removed`) and stands among the transactions again is read once.
Conflicted and abandoned transactions failed: they move nothing, and their fee is not paid.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, BinaryIO

from freshledger.chains import Chain, normalize_txid
from freshledger.errors import Invalid
from freshledger.imports.formats.json_stream import read_items
from freshledger.imports.formats.recent import Recent
from freshledger.imports.formats.records import (
    Format,
    Movement,
    Options,
    Record,
)
from freshledger.imports.formats.values import (
    NOTE_LIMIT,
    json_amount,
    native_chain,
    optional_address,
    unix_time,
)
from freshledger.text import clean_text

ZERO = Decimal(0)
LISTS = frozenset({"transactions", "removed"})
_TYPES = {
    "send": "send",
    "receive": "receive",
    "generate": "reward",
    "immature": "reward",
    "orphan": "reward",
}


def parse(file: BinaryIO, options: Options) -> Iterator[Record]:
    """Read the array of listtransactions or the object of listsinceblock."""
    recent = Recent()

    def read(number: int, key: str, item: object) -> Iterator[Movement]:
        if not key or key in LISTS:
            chain = native_chain(options, "bitcoin")
            for movement in _movements(number, item, chain):
                if not recent.seen(movement.identity):
                    yield movement

    return read_items(file, LISTS, read)


def _movements(number: int, item: object, chain: Chain) -> Iterator[Movement]:
    if not isinstance(item, dict):
        raise Invalid("this item is not a transaction")
    category = item.get("category")
    if not isinstance(category, str) or category not in _TYPES:
        raise Invalid(
            f"category: {str(category)[:40]!r} is not one of {', '.join(_TYPES)}", field="category"
        )
    movement = _output(number, item, chain, _TYPES[category])
    fee = json_amount(item.get("fee") or 0, field="fee")
    yield movement
    if category == "send" and fee:
        yield _fee(movement, fee.copy_abs().copy_negate())


def _output(number: int, item: dict[str, Any], chain: Chain, kind: str) -> Movement:
    txid = normalize_txid(_text(item, "txid"), field="txid")
    amount = json_amount(item.get("amount"), field="amount")
    status = _status(item)
    address = optional_address(_text(item, "address"), field="address")
    ours = kind != "send"
    return Movement(
        line=number,
        identity=f"{chain.slug}:{txid}:{kind}:{_vout(item)}",
        group_key=f"{chain.slug}:{txid}",
        occurred_at=unix_time(_text(item, "time") or _text(item, "blocktime"), field="time"),
        type=kind,
        status=status,
        asset=chain.asset,
        amount=ZERO if status == "failed" else amount,
        chain=chain.slug,
        txid=txid,
        own_address=address if ours else None,
        counterparty=None if ours else address,
        note=_note(item),
    )


def _fee(sent: Movement, fee: Decimal) -> Movement:
    return Movement(
        line=sent.line,
        identity=f"{sent.group_key}:fee",
        group_key=sent.group_key,
        occurred_at=sent.occurred_at,
        type="fee",
        status=sent.status,
        asset=sent.asset,
        amount=ZERO if sent.status == "failed" else fee,
        chain=sent.chain,
        txid=sent.txid,
    )


def _status(item: dict[str, Any]) -> str:
    confirmations = json_amount(item.get("confirmations", 0), field="confirmations")
    if confirmations < 0 or item.get("abandoned") is True or item["category"] == "orphan":
        return "failed"
    return "pending" if confirmations == 0 or item["category"] == "immature" else "confirmed"


def _vout(item: dict[str, Any]) -> int:
    vout = item.get("vout")
    if isinstance(vout, bool) or not isinstance(vout, int) or not 0 <= vout < 2**32:
        raise Invalid(f"vout: {str(vout)[:40]!r} is not an output's number", field="vout")
    return vout


def _note(item: dict[str, Any]) -> str:
    parts = [_text(item, name) for name in ("label", "comment", "to")]
    joined = "; ".join(dict.fromkeys(part for part in parts if part))
    return clean_text(joined, limit=NOTE_LIMIT, lines=True)


def _text(item: dict[str, Any], name: str) -> str:
    value = item.get(name)
    return str(value).strip() if isinstance(value, str | int) else ""


def _detect(head: bytes) -> bool:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return start[:1] in {b"[", b"{"} and b'"category"' in head and b'"vout"' in head


FORMATS = (
    Format("bitcoin-core", "Bitcoin Core: listtransactions, listsinceblock (JSON)", _detect, parse),
)
