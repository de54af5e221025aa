"""A ledger as it has to be, whatever was asked of it: the model that the API is held against."""

from collections import defaultdict
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from proof.records import Row, plain


@dataclass(frozen=True)
class Movement:
    """A movement as the model has it; `contact` is the one that was set by hand."""

    version: int
    note: str
    amount: str
    contact: int | None
    asset: str
    counterparty: str | None

    def values(self) -> dict[str, Any]:
        return {"note": self.note, "amount": self.amount, "contact_id": self.contact}


@dataclass
class Model:
    """A ledger as it has to be; `past` has every version of every movement."""

    version: int = 0
    rows: dict[int, Movement] = field(default_factory=dict)
    past: dict[tuple[int, int], Movement] = field(default_factory=dict)
    labels: dict[int, tuple[str, int]] = field(default_factory=dict)
    links: defaultdict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    contacts: dict[int, tuple[str, int]] = field(default_factory=dict)
    addresses: dict[str, int] = field(default_factory=dict)

    def put(self, row: int, movement: Movement) -> None:
        self.rows[row] = movement
        self.past[row, movement.version] = movement

    def set(self, row: int, **values: Any) -> None:
        """Update a movement, which gives it another version."""
        was = self.rows[row]
        self.put(row, replace(was, version=was.version + 1, **values))

    def wants(self, row: int, base: int | None, values: dict[str, Any]) -> dict[str, Any] | None:
        """What of a correction is set; None where it is lost. `base` None stands for `*`."""
        now = self.rows[row].values()
        changed = {name: value for name, value in values.items() if now[name] != value}
        if base is None or base == self.rows[row].version:
            return changed
        then = self.past.get((row, base))
        if then is None:  # it never was: ahead of the row, or before its first version
            return None if changed or base > self.rows[row].version else {}
        return None if any(now[name] != then.values()[name] for name in changed) else changed

    def shown(self) -> tuple[dict[int, Row], dict[int, int | None]]:
        """The list as the API has to show it: the rows, and the contact of each."""
        rows, contacts = {}, {}
        for row, one in self.rows.items():
            labels = tuple(sorted(self.labels[label][0] for label in self.links[row]))
            rows[row] = Row(one.version, one.note, one.amount, labels)
            contacts[row] = one.contact or self.addresses.get(one.counterparty or "")
        return rows, contacts

    def sums(self) -> dict[str, str]:
        net: defaultdict[str, Decimal] = defaultdict(Decimal)
        for one in self.rows.values():
            net[one.asset] += Decimal(one.amount)
        return {asset: plain(total) for asset, total in net.items()}
