"""What a version did, in plain words.

Each rule says one thing and takes what it has said, and what followed from it, out of the
version's groups: links go with their transaction, addresses with their contact.
"""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

from freshledger.amounts import format_amount
from freshledger.history.naming import Names, Row
from freshledger.history.repository import Group, RowChange, Version
from freshledger.text import clean_text

Left = dict[tuple[str, str], Group]
"""What has not been said yet, by table and operation."""

Rule = Callable[[Left, Names], str | None]

LISTED = 3
"""How many names a sentence has; the rest are a number."""


def describe(version: Version, names: Names) -> str:
    """Say what a version did, as what follows its actor's name."""
    left: Left = {(group.table, group.operation): group for group in version.groups}
    said = [text for rule in RULES if (text := rule(left, names))]
    said += [_plainly(group) for group in left.values()]
    return "; ".join(said) or "changed nothing that is still recorded"


def transaction_text(row: Row | None) -> str:
    """Describe a transaction in few words: 'receive of 0.5 BTC'."""
    if not row or "type" not in row:
        return "a transaction"
    amount = row.get("amount")
    if amount is None:
        return f"{row['type']} of {_name(row['asset'])}"
    return f"{row['type']} of {format_amount(Decimal(amount))} {_name(row['asset'])}"


def name_of(names: Names, table: str, row_id: int | None) -> str:
    """Return a row's name in quotes, or what it is."""
    row = names.get((table, row_id or 0), {})
    noun = _NOUNS[table][0]
    return f"“{_name(row['name'])}”" if row.get("name") else f"a {noun} that is gone"


def count_of(number: int, table: str) -> str:
    """Return '1 label', '3 labels'."""
    one, many = _NOUNS[table]
    return f"1 {one}" if number == 1 else f"{number:,} {many}"


_NOUNS = {
    "transactions": ("transaction", "transactions"),
    "transaction_labels": ("label on a transaction", "labels on transactions"),
    "labels": ("label", "labels"),
    "contacts": ("contact", "contacts"),
    "contact_addresses": ("address of a contact", "addresses of contacts"),
    "wallets": ("wallet", "wallets"),
    "wallet_addresses": ("address of a wallet", "addresses of wallets"),
    "imports": ("import", "imports"),
    "import_files": ("file of an import", "files of imports"),
    "reference_labels": ("line of BIP-329", "lines of BIP-329"),
    "tombstones": ("mark of a deleted row", "marks of deleted rows"),
    "members": ("member", "members"),
    "tokens": ("token", "tokens"),
    "saved_filters": ("saved filter", "saved filters"),
    "ledgers": ("ledger", "ledgers"),
    "users": ("person", "people"),
}
_VERBS = {"I": "added", "U": "changed", "D": "deleted"}


def _name(text: str) -> str:
    return clean_text(str(text), limit=200)


def _plainly(group: Group) -> str:
    row = "" if group.kept else ", in one statement whose rows were not kept"
    return f"{_VERBS[group.operation]} {count_of(group.count, group.table)}{row}"


def _take(left: Left, *keys: tuple[str, str]) -> None:
    for key in keys:
        left.pop(key, None)


def _all_of(operation: str, *tables: str) -> tuple[tuple[str, str], ...]:
    return tuple((table, operation) for table in tables)


def _first(group: Group) -> RowChange:
    return group.rows[0]


def _known(left: Left, table: str, operation: str) -> Group | None:
    """Return a group of which rows are known, if the version has it."""
    group = left.get((table, operation))
    return group if group and group.rows else None


def _listed(names: Iterable[str], total: int) -> str:
    """Join the first names, and how many more there are of `total`."""
    shown = list(dict.fromkeys(names))[:LISTED]
    more = total - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def _import(left: Left, names: Names) -> str | None:
    groups = [group for group in left.values() if group.import_id is not None]
    if not groups:
        return None
    number = {(group.table, group.operation): group.count for group in groups}
    _take(left, *number)
    new, updated = number.get(("transactions", "I"), 0), number.get(("transactions", "U"), 0)
    lines = number.get(("reference_labels", "I"), 0)
    counted = [
        count_of(new, "transactions") if new else "",
        f"{updated:,} updated" if updated else "",
        count_of(lines, "reference_labels") if lines else "",
    ]
    said = ", ".join(filter(None, counted)) or "nothing new"
    return f"imported {_files(names, groups[0].import_id)}: {said}"


def _files(names: Names, import_id: int | None) -> str:
    row = names.get(("imports", import_id or 0), {})
    return _name(row["name"]) if row.get("name") else "an import that is gone"


_STEPS = {
    "reading": "let the files of {} be read again",
    "staged": "read {}",
    "committing": "began to import {}",
    "done": "stopped the taking back of {}",
    "failed": "could not import {}",
    "cancelled": "cancelled the import of {}",
    "taking_back": "began to take back {}",
}


def _import_step(left: Left, names: Names) -> str | None:
    opened = _known(left, "imports", "I")
    if opened:
        _take(left, ("imports", "I"), ("import_files", "I"))
        return f"opened {_files(names, _first(opened).id)} for an import"
    group = _known(left, "imports", "U")
    if group is None:
        return None
    row = _first(group)
    before, after = row.before or {}, row.after or {}
    files, status = _files(names, row.id), after.get("status")
    moved = left.get(("transactions", "D" if status == "taken_back" else "I"))
    said = count_of(moved.count if moved else 0, "transactions")
    _take(left, ("imports", "U"), ("import_files", "U"))
    if status == "taken_back":
        _take(left, *_all_of("D", "transactions", "transaction_labels", "reference_labels"))
        return f"took back the import of {files}: removed {said}"
    if before.get("status") == "taken_back":
        _take(left, *_all_of("I", "transactions", "transaction_labels", "reference_labels"))
        return f"brought back the import of {files}: {said}"
    return _STEPS.get(status or "", "noted how far the import of {} is").format(files)


_IN_WALLET = ("transactions", "transaction_labels", "wallet_addresses", "imports", "import_files",
              "tombstones")  # fmt: skip


def _wallets(left: Left, names: Names) -> str | None:
    for operation, verb in (("D", "deleted"), ("I", "added")):
        if group := _known(left, "wallets", operation):
            inside = left.get(("transactions", operation))
            opened = operation == "I" and ("imports", "I") in left and not inside
            _take(left, ("wallets", operation), *_all_of(operation, *_IN_WALLET))
            name = _listed((name_of(names, "wallets", row.id) for row in group.rows), group.count)
            what = "the wallet" if group.count == 1 else "the wallets"
            held = f" with {count_of(inside.count, 'transactions')}" if inside else ""
            return f"{verb} {what} {name}{held}{' for an import' if opened else ''}"
    return None


def _labels(left: Left, names: Names) -> str | None:
    group = _known(left, "labels", "D")
    if group is None:
        return None
    off, kept = left.get(("transaction_labels", "D")), _known(left, "transaction_labels", "I")
    _take(left, ("labels", "D"), ("transaction_labels", "D"), ("transaction_labels", "I"))
    name = _listed((name_of(names, "labels", row.id) for row in group.rows), group.count)
    if kept:
        into = name_of(names, "labels", (_first(kept).after or {}).get("label_id"))
        return f"merged the label {name} into {into}"
    what = "the label" if group.count == 1 else "the labels"
    wore = f", which {count_of(off.count, 'transactions')} had" if off else ""
    return f"deleted {what} {name}{wore}"


def _contacts(left: Left, names: Names) -> str | None:
    if group := _known(left, "contacts", "D"):
        name = _listed((name_of(names, "contacts", row.id) for row in group.rows), group.count)
        into = _merged_into(left)
        _take(left, ("contacts", "D"), ("contact_addresses", "D"), ("contact_addresses", "U"))
        _take(left, ("transactions", "U"), *([("contacts", "U")] if into else []))
        if into:
            return f"merged the contact {name} into {name_of(names, 'contacts', into)}"
        return f"deleted {'the contact' if group.count == 1 else 'the contacts'} {name}"
    if group := _known(left, "contacts", "I"):
        addresses = left.get(("contact_addresses", "I"))
        _take(left, ("contacts", "I"), ("contact_addresses", "I"))
        name = _listed((name_of(names, "contacts", row.id) for row in group.rows), group.count)
        what = "the contact" if group.count == 1 else "the contacts"
        more = (
            f" with {addresses.count:,} address{'es' * (addresses.count > 1)}" if addresses else ""
        )
        return f"added {what} {name}{more}"
    return None


def _merged_into(left: Left) -> int | None:
    for table in ("contact_addresses", "transactions"):
        group = _known(left, table, "U")
        into = (_first(group).after or {}).get("contact_id") if group else None
        if into is not None:
            return int(into)
    return None


def _transactions(left: Left, names: Names) -> str | None:
    for operation, verb in (("I", "added"), ("D", "deleted")):
        if group := left.get(("transactions", operation)):
            back = operation == "I" and ("tombstones", "D") in left
            other = "D" if operation == "I" else "I"
            _take(left, ("transactions", operation), ("transaction_labels", operation))
            _take(left, ("tombstones", other))
            if group.count == 1 and group.rows:
                said = transaction_text(names.get(("transactions", _first(group).id)))
            else:
                said = count_of(group.count, "transactions")
            if not group.kept:
                said += ", in one statement whose rows were not kept"
            return f"{'brought back' if back else verb} {said}"
    return None


_FIELDS = {
    "note": "the note",
    "contact_id": "the contact",
    "type": "the type",
    "counterparty": "the counterparty",
    "occurred_at": "the time",
    "amount": "the amount",
    "status": "the status",
    "wallet_id": "the wallet",
    "asset": "the asset",
}


def _corrections(left: Left, names: Names) -> str | None:
    group = _known(left, "transactions", "U")
    if group is None:
        return None
    _take(left, ("transactions", "U"), ("transaction_labels", "U"))
    changed = {column for row in group.rows for column in row.after or {}}
    fields = [said for column, said in _FIELDS.items() if column in changed]
    what = (
        " and ".join([", ".join(fields[:-1]), fields[-1]] if fields[1:] else fields) or "something"
    )
    if group.count == 1:
        return (
            f"changed {what} of {transaction_text(names.get(('transactions', _first(group).id)))}"
        )
    return f"changed {what} of {count_of(group.count, 'transactions')}"


def _links(left: Left, names: Names) -> str | None:
    said = []
    for operation in ("I", "D"):
        group = _known(left, "transaction_labels", operation)
        if group is None:
            continue
        _take(left, ("transaction_labels", operation))
        ids = dict.fromkeys((row.after or row.before or {})["label_id"] for row in group.rows)
        labels = ", ".join(name_of(names, "labels", label_id) for label_id in ids)
        if operation == "I":
            _take_new_labels(left, ids)
        number = (
            len({row.id for row in group.rows}) if group.count == len(group.rows) else group.count
        )
        on = count_of(number, "transactions")
        if number == 1:
            on = transaction_text(names.get(("transactions", group.rows[0].id)))
        said.append(f"labelled {on} {labels}" if operation == "I" else f"took {labels} off {on}")
    return "; ".join(said) or None


def _take_new_labels(left: Left, ids: Iterable[int]) -> None:
    """Labels that were made to be put on say so by being put on."""
    made = left.get(("labels", "I"))
    if made and {row.id for row in made.rows} <= set(ids) and made.count == len(made.rows):
        _take(left, ("labels", "I"))


def _new_labels(left: Left, names: Names) -> str | None:
    group = _known(left, "labels", "I")
    if group is None:
        return None
    _take(left, ("labels", "I"))
    name = _listed((name_of(names, "labels", row.id) for row in group.rows), group.count)
    return f"added {'the label' if group.count == 1 else 'the labels'} {name}"


def _renamed(left: Left, names: Names) -> str | None:
    said = []
    for table in ("labels", "contacts", "wallets"):
        group = _known(left, table, "U")
        if group is None or group.count > 1:
            continue
        _take(left, (table, "U"))
        row, noun = _first(group), _NOUNS[table][0]
        before, after = row.before or {}, row.after or {}
        if "name" in after:
            said.append(f"renamed the {noun} “{_name(before['name'])}” to “{_name(after['name'])}”")
        if "color" in after:
            said.append(f"gave the label {name_of(names, table, row.id)} another colour")
        if "note" in after:
            said.append(f"changed the note of the {noun} {name_of(names, table, row.id)}")
    return "; ".join(said) or None


def _addresses(left: Left, names: Names) -> str | None:
    said = []
    for table, owner in (("contact_addresses", "contacts"), ("wallet_addresses", "wallets")):
        for operation, verb in (("I", "gave"), ("D", "took from")):
            group = _known(left, table, operation)
            if group is None:
                continue
            _take(left, (table, operation))
            column = f"{owner[:-1]}_id"
            row = _first(group).after or _first(group).before or {}
            whose = f"the {owner[:-1]} {name_of(names, owner, row.get(column))}"
            what = (
                f"the address {_name(row['address'])}"
                if group.count == 1
                else f"{group.count:,} addresses"
            )
            said.append(f"{verb} {whose} {what}")
    return "; ".join(said) or None


def _members(left: Left, names: Names) -> str | None:
    said = []
    for operation in ("I", "U", "D"):
        group = _known(left, "members", operation)
        if group is None:
            continue
        _take(left, ("members", operation))
        row = _first(group)
        who = name_of(names, "users", row.id).strip("“”")
        role = (row.after or row.before or {}).get("role", "")
        text = {"I": "let {} in as {}", "U": "made {} {}", "D": "took {} out, who was {}"}[
            operation
        ]
        said.append(text.format(who, role) if group.count == 1 else _plainly(group))
    return "; ".join(said) or None


def _ledger(left: Left, _names: Names) -> str | None:
    if _known(left, "ledgers", "I"):
        _take(left, ("ledgers", "I"))
        return "made this ledger"
    group = _known(left, "ledgers", "U")
    if group is None:
        return None
    _take(left, ("ledgers", "U"))
    before, after = _first(group).before or {}, _first(group).after or {}
    if "name" in after:
        return f"renamed the ledger “{_name(before['name'])}” to “{_name(after['name'])}”"
    if "archived_at" in after:
        return "archived the ledger" if after["archived_at"] else "reopened the ledger"
    return "restored the ledger from a backup" if "epoch" in after else "changed the ledger"


RULES: Sequence[Rule] = (
    _import, _wallets, _import_step, _labels, _contacts, _transactions, _corrections, _links,
    _new_labels, _renamed, _addresses, _members, _ledger,
)  # fmt: skip
