"""The history as pages and programs show it: who, when, what, and from what to what."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from freshledger.amounts import format_amount
from freshledger.chains import display_address
from freshledger.history.commands import way_of
from freshledger.history.filters import KINDS, OPERATIONS, HistoryFilter
from freshledger.history.naming import Names, as_recorded, in_version
from freshledger.history.obstacles import Obstacle
from freshledger.history.repository import RowChange, UndoneBy, Version
from freshledger.history.words import count_of, describe, name_of, transaction_text
from freshledger.text import clean_text
from freshledger.web.times import local_time

LONG = 80
"""Characters of a text that stands folded."""

PRIVATE = {
    "tokens": {
        "token_hash",
        "name",
        "scope",
        "expires_at",
        "revoked_at",
    },  # their page is the owners'
    "saved_filters": {"name", "query"},
    "imports": {"options"},
    "import_files": {"digest"},
}
"""Columns that are nobody else's business: secrets, other people's filters, files on the server."""

_TITLES = {
    "type": "Type", "status": "Status", "occurred_at": "Time", "amount": "Amount",
    "counterparty": "Counterparty", "contact_id": "Contact", "note": "Note",
    "wallet_id": "Wallet", "asset": "Asset", "contract": "Contract", "chain": "Chain",
    "own_address": "Own address", "txid": "Transaction id", "fiat_value": "Value",
    "fiat_currency": "Currency", "name": "Name", "color": "Colour", "label_id": "Label",
    "label": "Label", "address": "Address", "network": "Network", "role": "Role",
    "user_id": "Person", "scope": "Scope", "expires_at": "Expires", "revoked_at": "Revoked",
    "email": "Email", "archived_at": "Archived", "error": "Error", "format": "Format",
    "size": "Bytes", "import_id": "Import", "ref": "Reference", "origin": "Origin",
    "spendable": "Spendable", "transaction_id": "Transaction", "identity": "Its row in the file",
}  # fmt: skip
"""What is shown of a row, in this order; other columns are for the machine."""

_POINTS_TO = {
    "contact_id": "contacts", "wallet_id": "wallets", "label_id": "labels",
    "user_id": "users", "import_id": "imports",
}  # fmt: skip
_TIMES = {"occurred_at", "expires_at", "revoked_at", "archived_at"}
_AMOUNTS = {"amount", "fiat_value"}
_WHOLE = {"counterparty", "own_address", "address", "contract", "txid", "ref"}
_LINK = {"label_id"}
_OF_LEDGER = {"transactions": {"network", "identity"}, "transaction_labels": set(_TITLES) - _LINK}
"""Columns of a table that are not shown: they follow from others."""


@dataclass(frozen=True, slots=True)
class Value:
    """A value as it is shown; `kind` is amount, hash, long or text."""

    text: str
    kind: str = "text"
    asset: str | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """A field that changed: from what to what, None where there was nothing."""

    title: str
    before: Value | None
    after: Value | None


def shown_row(row: RowChange, names: Names) -> dict[str, Any]:
    """Return a changed row: its `what`, where it can be looked at, and its fields."""
    hidden = PRIVATE.get(row.table, set()) | _OF_LEDGER.get(row.table, set())
    asset = _asset_of(row, names)
    fields = []
    for column, title in _TITLES.items():
        values = [_value(side, column, names, asset) for side in (row.before, row.after)]
        if column not in hidden and any(values):
            fields.append(Field(title, *values))
    place = "transactions" if row.table == "transaction_labels" else row.table
    known = names.get((place, row.id), {})
    return {
        "what": _what(row, names),
        "operation": {code: word for word, code in OPERATIONS.items()}[row.operation],
        "place": place if known.get("there") and place in _PAGES else None,
        "id": row.id,
        "fields": fields,
    }


_PAGES = {"transactions", "labels", "contacts", "wallets", "imports"}


def _asset_of(row: RowChange, names: Names) -> str | None:
    for known in (row.after, row.before, names.get(("transactions", row.id))):
        if known and known.get("asset"):
            return str(known["asset"])
    return None


def _what(row: RowChange, names: Names) -> str:
    if row.table in {"transactions", "transaction_labels"}:
        text = transaction_text(names.get(("transactions", row.id)))
        return text[:1].upper() + text[1:]
    if row.table in {"labels", "contacts", "wallets"}:
        return f"{row.table[:-1].capitalize()} {name_of(names, row.table, row.id)}"
    owner = row.after or row.before or {}
    for column, table in (("contact_id", "contacts"), ("wallet_id", "wallets")):
        if row.table in {"contact_addresses", "wallet_addresses"} and owner.get(column):
            return f"Address of the {table[:-1]} {name_of(names, table, owner[column])}"
    return count_of(1, row.table).removeprefix("1 ").capitalize()


def _value(
    row: Mapping[str, Any] | None, column: str, names: Names, asset: str | None
) -> Value | None:
    value = row.get(column) if row else None
    if value is None or value == "":
        return None
    if column in _AMOUNTS:
        return Value(format_amount(Decimal(value)), "amount", asset if column == "amount" else None)
    if column in _POINTS_TO:
        return Value(name_of(names, _POINTS_TO[column], value).strip("“”"))
    if column in _TIMES:
        return Value(local_time(value))
    if column in _WHOLE:
        return Value(display_address(clean_text(str(value))), "hash")
    text = clean_text(str(value), lines=True)
    return Value(text, "long" if len(text) > LONG or "\n" in text else "text")


def shown_version(
    version: Version, names: Names, actors: Mapping[str, str], undos: Sequence[UndoneBy]
) -> dict[str, Any]:
    """Return an entry of the history; `names` are those of the present."""
    changes = in_version(version)
    names = as_recorded(names, changes)
    shown = [shown_row(change, names) for change in changes if not _follows(change, version)]
    return {
        "version": version.version,
        "at": version.at,
        "actor": version.actor,
        "who": actors.get(version.actor, version.actor),
        "says": describe(version, names),
        "rows": [row for row in shown if row["fields"]],
        "more": version.count - len(changes),
        "count": version.count,
        "way": way_of(version).kind,
        "undid": next((u for u in undos if u.by == version.version), None),
        "undone": [u for u in undos if u.version == version.version],
        "stands": stands(version.version, undos),
    }


def _follows(change: RowChange, version: Version) -> bool:
    """Tell whether a change goes without saying: another one of the version brought it about."""
    if change.table == "transaction_labels":
        return change.operation == "U"
    return change.table == "tombstones" and any(
        version_has(version, "transactions", operation) for operation in ("I", "D")
    )


def obstacle_text(one: Obstacle, names: Names) -> str:
    """Say what stands in the way of an undo."""
    place = "transactions" if one.table == "transaction_labels" else one.table
    subject = _what(RowChange(place, "U", one.row, None, None), names)
    if one.label is not None:
        subject = (
            f"Label {name_of(names, 'labels', one.label)} on {subject[:1].lower()}{subject[1:]}"
        )
    fields = [_TITLES[name].lower() for name in one.fields if name in _TITLES]
    return {
        "gone": f"{subject}: it is gone",
        "changed": f"{subject}: {', '.join(fields) or 'it'} changed since",
        "there": f"{subject}: it is there again",
        "needs": f"{subject}: it is gone, and what would be put back needs it",
        "taken": f"{subject}: it has taken the name or the place of what would be put back",
        "used": f"{subject}: it hangs on what would be taken away",
    }[one.why]


def shown_steps(version: Version) -> list[str]:
    """Say what undoing a version does, the last first; what follows by itself is left out."""
    ways = {"I": "{} taken away again", "U": "{} put back as before", "D": "{} brought back"}
    return [
        ways[group.operation].format(count_of(group.count, group.table))
        for group in reversed(version.groups)
        if (group.table, group.operation) != ("transaction_labels", "U")
    ]


def version_has(version: Version, table: str, operation: str) -> bool:
    """Tell whether a version did that to a table."""
    return any((group.table, group.operation) == (table, operation) for group in version.groups)


def stands(version: int, undos: Sequence[UndoneBy]) -> bool:
    """Tell whether a version's changes stand: nobody undid it whole, or that was undone."""
    undone = set[int]()
    for undo in sorted(undos, key=lambda undo: undo.by, reverse=True):
        if undo.by not in undone and not undo.left_out:
            undone.add(undo.version)
    return version not in undone


def shown_chips(where: HistoryFilter, people: Mapping[str, str]) -> list[tuple[str, str]]:
    """Describe the filter: each name in it, and what it asks for."""
    texts = {
        "actor": f"by {people.get(where.actor, where.actor)}",
        "what": KINDS[where.what][0].lower() if where.what else "",
        "operation": where.operation,
        "from": f"from {where.begin}",
        "to": f"to {where.end}",
        "table": f"one row: {where.table.removesuffix('s')} {where.row}",
    }
    return [(name, texts[name]) for name, _ in where.to_args() if name in texts]


def recorded(row: RowChange) -> dict[str, Any]:
    """Return a changed row as it was written down, for programs: amounts are strings."""
    hidden = PRIVATE.get(row.table, set())
    return {
        "table": row.table,
        "operation": row.operation,
        "id": row.id,
        "before": _exact(row.before, hidden),
        "after": _exact(row.after, hidden),
    }


def _exact(row: Mapping[str, Any] | None, hidden: Iterable[str]) -> dict[str, Any] | None:
    if row is None:
        return None
    return {
        column: format_amount(Decimal(value)) if column in _AMOUNTS and value is not None else value
        for column, value in row.items()
        if column not in hidden
    }
