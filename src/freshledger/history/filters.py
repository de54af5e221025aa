"""What the history can be asked for: a frozen value, no SQL.

Names in the URL: actor (`user:3`, or a database user's name), what (a kind of things), operation
(added, changed, deleted), from and to (days or periods of the viewer's zone, or instants), and
one row of a table: table and row.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from freshledger.errors import Invalid
from freshledger.text import clean_text
from freshledger.transactions.periods import parse_bound

KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "transactions": ("Transactions", ("transactions", "tombstones")),
    "notes": ("Notes", ("transactions",)),
    "labels": ("Labels", ("labels", "transaction_labels", "reference_labels")),
    "contacts": ("Contacts", ("contacts", "contact_addresses")),
    "wallets": ("Wallets", ("wallets", "wallet_addresses")),
    "imports": ("Imports", ("imports", "import_files")),
    "access": ("Members and access", ("members", "tokens")),
    "settings": ("Settings and saved filters", ("ledgers", "users", "saved_filters")),
}
"""What can be asked for: its name for people, and the tables it is kept in."""

OPERATIONS = {"added": "I", "changed": "U", "deleted": "D"}
TABLES = tuple(dict.fromkeys(table for _, tables in KINDS.values() for table in tables))
NAMES = ("actor", "what", "operation", "from", "to", "table", "row")
MAX_DIGITS = 18
MAX_ACTOR = 100

Args = Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class HistoryFilter:
    """Versions that have all of this; '' and None ask for nothing."""

    actor: str = ""
    what: str = ""
    operation: str = ""
    begin: str = ""
    end: str = ""
    table: str = ""
    row: int | None = None

    @classmethod
    def from_args(cls, args: Args, *, others: Iterable[str] = ()) -> "HistoryFilter":
        """Read a query string; raises Invalid naming the parameter that is wrong or unknown."""
        known, given = {*NAMES, *others}, dict[str, str]()
        for key, value in args:
            if key not in known:
                raise Invalid(f"{key[:60]!r} is not a parameter of this address", field=key[:60])
            if key in given:
                raise Invalid(f"{key}: give it once", field=key)
            given[key] = value.strip()
        table, row = _row(given.get("table", ""), given.get("row", ""))
        return cls(
            actor=clean_text(given.get("actor", ""), limit=MAX_ACTOR),
            what=_one_of(given, "what", KINDS),
            operation=_one_of(given, "operation", OPERATIONS),
            begin=_bound(given, "from"),
            end=_bound(given, "to"),
            table=table,
            row=row,
        )

    def to_args(self) -> list[tuple[str, str]]:
        """Return the query pairs of this filter: `from_args` of them is equal to it."""
        row = "" if self.row is None else str(self.row)
        values = (
            self.actor, self.what, self.operation, self.begin, self.end, self.table, row,
        )  # fmt: skip
        return [(name, value) for name, value in zip(NAMES, values, strict=True) if value]

    def without(self, name: str) -> "HistoryFilter":
        """Return the filter that does not ask for one of its names; a row goes with its table."""
        if name in {"table", "row"}:
            return replace(self, table="", row=None)
        column = {"from": "begin", "to": "end"}.get(name, name)
        return replace(self, **{column: ""})  # type: ignore[arg-type]

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables in which a change must be, all of them if nothing is said."""
        asked = KINDS[self.what][1] if self.what else TABLES
        if self.table:
            return (self.table,) if self.table in asked else ()
        return asked

    @property
    def is_narrow(self) -> bool:
        """Whether single changes are asked for, not only a time."""
        return bool(self.actor or self.what or self.operation or self.table)


def _one_of(given: dict[str, str], name: str, choices: Iterable[str]) -> str:
    value = given.get(name, "")
    if value and value not in choices:
        raise Invalid(f"{name}: must be one of {', '.join(choices)}", field=name)
    return value


def _bound(given: dict[str, str], name: str) -> str:
    value = given.get(name, "")
    return parse_bound(value, field=name) if value else ""


def _row(table: str, row: str) -> tuple[str, int | None]:
    if table and table not in TABLES:
        raise Invalid(f"table: must be one of {', '.join(TABLES)}", field="table")
    if bool(table) != bool(row):
        missing = "row" if table else "table"
        raise Invalid(f"{missing}: a row is named by its table and its id", field=missing)
    if row and not (row.isascii() and row.isdigit() and len(row) <= MAX_DIGITS):
        raise Invalid(f"row: {row[:40]!r} is not an id", field="row")
    return table, int(row) if row else None
