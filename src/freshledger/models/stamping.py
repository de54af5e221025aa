"""Which tables count for a ledger's version: the triggers' list, and who is exempt, and why."""

STAMPED = frozenset(
    {
        "contact_addresses",
        "contacts",
        "import_files",
        "imports",
        "labels",
        "members",
        "reference_labels",
        "saved_filters",
        "tokens",
        "tombstones",
        "transaction_labels",
        "transactions",
        "wallet_addresses",
        "wallets",
    }
)
"""Tables with a ledger_id whose every change adds to the ledger's version.

The ledger's own row counts as well, and so do its members' names (`users`).
"""

EXEMPT: dict[str, str] = {
    "changes": "the record of the versions itself",
    "dropped_import_rows": "beside the record: what the imports contained that a version deleted",
    "exports": "an export changes nothing a page of the ledger shows, only its own progress",
    "heads": "the version itself",
    "import_references": "written with the reference labels of its import, which are stamped",
    "import_rows": "written with the transactions of its import, which are stamped",
    "revisions": "the record of the versions itself",
    "staged_rows": "parsed rows that wait; nothing in the ledger until their import is committed",
    "undos": "written with what it undoes, which is stamped",
    "token_uses": "a token's last use is written by reading requests, which change nothing",
}
"""Tables with a ledger_id that do not count, each with its reason."""
