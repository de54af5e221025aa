"""What happened, as the clients saw it; and what of it cannot be, by the contract's rules."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise


@dataclass(frozen=True)
class Event:
    """A write that was acknowledged, or a read: when it began and ended, and its version."""

    start: float
    end: float
    version: int


@dataclass
class History:
    """One ledger's; times are of one monotonic clock."""

    writes: list[Event] = field(default_factory=list)
    reads: list[Event] = field(default_factory=list)
    notified: list[int] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)

    def violations(self) -> Counter[str]:
        """Count what breaks a rule, by the rule's name."""
        found = Counter(self.faults)
        found["stale"] = _disorder(self.writes, self.reads, strict=False)
        found["not monotonic"] = _disorder(self.reads, self.reads, strict=False)
        found["write order"] = _disorder(self.writes, self.writes, strict=True)
        versions = [write.version for write in self.writes]
        found["shared version"] = len(versions) - len(set(versions))
        found["notify order"] = sum(b != a + 1 for a, b in pairwise(self.notified))
        return +found


def _disorder(earlier: list[Event], later: list[Event], *, strict: bool) -> int:
    """How many of `later` began after one of `earlier` ended and have an older version."""
    ended = sorted(earlier, key=lambda event: event.end)
    newest, found, place = 0, 0, 0
    for event in sorted(later, key=lambda event: event.start):
        while place < len(ended) and ended[place].end < event.start:
            newest = max(newest, ended[place].version)
            place += 1
        found += event.version < newest + strict
    return found
