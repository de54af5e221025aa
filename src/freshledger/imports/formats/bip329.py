"""Labels as BIP-329 has them: JSON Lines, read leniently and written as they were read.

https://github.com/bitcoin/bips/blob/master/bip-0329.mediawiki. A missing or blank label means
that nothing is said about it. Fields that this program has no use for are kept in `extra`.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, BinaryIO

import msgspec

from freshledger.amounts import parse_amount
from freshledger.chains import normalize_address
from freshledger.errors import Invalid
from freshledger.imports.formats.json_lines import has_object, read_objects
from freshledger.imports.formats.recent import Recent
from freshledger.imports.formats.records import (
    Format,
    Options,
    Problem,
    Record,
    ReferenceLabel,
)
from freshledger.imports.formats.values import LABEL_LIMIT
from freshledger.text import clean_text

TYPES = ("tx", "addr", "pubkey", "input", "output", "xpub", "spscan")
TEXT_LIMIT = 2000
MAX_DEPTH = 5

_TXID = re.compile(r"[0-9a-fA-F]{64}")
_OUTPOINT = re.compile(r"([0-9a-fA-F]{64}):(0|[1-9]\d{0,9})", re.ASCII)
_PUBKEY = re.compile(r"[0-9a-fA-F]{64}|[0-9a-fA-F]{66}|[0-9a-fA-F]{130}")
_PRINTABLE = re.compile(r"[\x21-\x7e]{1,2000}")
_KNOWN = frozenset({"type", "ref", "label", "origin", "spendable"})
_encoder = msgspec.json.Encoder(decimal_format="number")


def parse(file: BinaryIO, _options: Options) -> Iterator[Record]:
    """Read the lines; a line that says the same again is left out."""
    recent = Recent()

    def read(line: int, item: dict[str, Any]) -> Iterator[Record]:
        kind = item.get("type")
        if isinstance(kind, str) and kind not in TYPES:
            raise Invalid(f"type: {kind[:40]!r} is none of {', '.join(TYPES)}", field="type")
        label = _label(item)
        found = ReferenceLabel(
            line=line,
            type=_required(item, "type"),
            ref=_ref(_required(item, "type"), _required(item, "ref").strip()),
            label=clean_text(label, limit=LABEL_LIMIT) or None if label else None,
            origin=clean_text(_optional(item, "origin") or "", limit=TEXT_LIMIT) or None,
            spendable=_spendable(item),
            extra={
                clean_text(key, limit=TEXT_LIMIT): _kept(value, 1)
                for key, value in item.items()
                if key not in _KNOWN
            },
        )
        if not recent.seen(to_line(found)):
            yield found
            if label and len(clean_text(label, limit=len(label))) > LABEL_LIMIT:
                yield Problem(line, f"the label was cut to {LABEL_LIMIT} characters", "label")

    return read_objects(file, read)


def to_line(label: ReferenceLabel) -> str:
    """Write one line, without its line end; what was not said is not written."""
    said = {
        "type": label.type,
        "ref": label.ref,
        "label": label.label,
        "origin": label.origin,
        "spendable": label.spendable,
    }
    line = {key: value for key, value in said.items() if value is not None}
    return _encoder.encode({**line, **label.extra}).decode()


def _required(item: dict[str, Any], name: str) -> str:
    value = _optional(item, name)
    if not value:
        raise Invalid(f"{name}: it is missing; add it or remove the line", field=name)
    return value


def _optional(item: dict[str, Any], name: str) -> str | None:
    value = item.get(name)
    if value is not None and not isinstance(value, str):
        raise Invalid(f"{name}: it must be text in quotation marks", field=name)
    return value


def _label(item: dict[str, Any]) -> str | None:
    if isinstance(item.get("label"), int | float | Decimal):
        raise Invalid("label: it must be text in quotation marks", field="label")
    return _optional(item, "label")


def _spendable(item: dict[str, Any]) -> bool | None:
    value = item.get("spendable")
    if value is not None and not isinstance(value, bool):
        raise Invalid(
            "spendable: it must be true or false, without quotation marks", field="spendable"
        )
    return value


def _ref(kind: str, ref: str) -> str:
    if kind == "tx" and _TXID.fullmatch(ref):
        return ref.lower()
    if kind in {"input", "output"} and (match := _OUTPOINT.fullmatch(ref)):
        return f"{match[1].lower()}:{match[2]}"
    if kind == "pubkey" and _PUBKEY.fullmatch(ref):
        return ref.lower()
    if kind == "addr":
        return normalize_address(ref, field="ref")
    if kind in {"xpub", "spscan"} and _PRINTABLE.fullmatch(ref):
        return ref
    raise Invalid(f"ref: {ref[:80]!r} is no reference of type {kind}; correct it", field="ref")


def _kept(value: object, depth: int) -> object:
    """Return a further field with its text cleaned and its numbers checked."""
    if depth > MAX_DEPTH:
        raise Invalid("the line is nested too deeply; remove it")
    if isinstance(value, dict):
        return {clean_text(key, limit=TEXT_LIMIT): _kept(v, depth + 1) for key, v in value.items()}
    if isinstance(value, list):
        return [_kept(one, depth + 1) for one in value]
    if isinstance(value, str):
        return clean_text(value, limit=TEXT_LIMIT, lines=True)
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        amount = parse_amount(str(value), field="number")
        return amount if isinstance(value, Decimal) else int(amount)
    return value


def _fits(item: dict[str, Any]) -> bool:
    return item.get("type") in TYPES and isinstance(item.get("ref"), str)


FORMATS = (
    Format("bip329", "BIP-329: labels (JSON Lines)", lambda head: has_object(head, _fits), parse),
)
