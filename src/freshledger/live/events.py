"""What a stream says: events, and how they are written as server-sent events.

The events of one stream chain: each covers what came after the one before it, so that a gap
cannot hide.
"""

from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from uuid import UUID

import msgspec

FARTHEST = 500
"""Versions that one event covers at most; whoever is further behind reads anew."""

MOST_CHANGES = 500
"""Changes that one event names at most; whoever missed more reads anew."""


class Change(msgspec.Struct, frozen=True, gc=False):
    """What one version did to one table; `ids` is None where they are many, or not recorded."""

    version: int
    actor: str
    table: str
    operation: str
    count: int
    ids: list[int] | None


class Kind(StrEnum):
    """What a reader has to do: nothing; look at the changes; read everything anew."""

    READY = "ready"
    CHANGE = "change"
    RESYNC = "resync"


class News:
    """Where a ledger stands, and what happened to it in the versions since+1..version.

    Made once and shared by all streams that are at `since`: so is its text.
    """

    def __init__(
        self,
        kind: Kind,
        *,
        since: int,
        version: int,
        epoch: UUID,
        at: datetime | None,
        changes: tuple[Change, ...] = (),
    ) -> None:
        self.kind = kind
        self.since = since
        self.version = version
        self.epoch = epoch
        self.at = at
        self.changes = changes

    @cached_property
    def text(self) -> bytes:
        """The event as it is sent; `sent` is when it was first written."""
        data = {
            "version": self.version,
            "since": self.since,
            "epoch": self.epoch,
            "at": self.at,
            "sent": datetime.now(UTC),
            "changes": self.changes,
        }
        return frame(self.kind, data, version=self.version)

    def as_resync(self) -> "News":
        """Return that everything must be read anew, as of the same version."""
        return News(
            Kind.RESYNC, since=self.version, version=self.version, epoch=self.epoch, at=self.at
        )

    def after(self, version: int) -> "News":
        """Return the part that came after `version`, which is not before `since`."""
        if self.kind is not Kind.CHANGE or version == self.since:
            return self
        changes = tuple(change for change in self.changes if change.version > version)
        return News(
            Kind.CHANGE,
            since=version,
            version=self.version,
            epoch=self.epoch,
            at=self.at,
            changes=changes,
        )

    def then(self, later: "News") -> "News":
        """Return this and what came later as one; without end it must be read anew."""
        if later.kind is not Kind.CHANGE or later.since > self.version:
            return later.as_resync()
        changes = (*self.changes, *later.after(self.version).changes)
        merged = News(
            self.kind,
            since=self.since,
            version=later.version,
            epoch=later.epoch,
            at=later.at,
            changes=changes,
        )
        too_far = merged.version - merged.since > FARTHEST or len(changes) > MOST_CHANGES
        return merged.as_resync() if too_far or self.kind is not Kind.CHANGE else merged


def frame(name: str, data: object, *, version: int | None = None) -> bytes:
    """Write one event; JSON has no line ends, so its data is one line."""
    number = b"" if version is None else b"id: %d\n" % version
    return b"event: %b\n%bdata: %b\n\n" % (name.encode(), number, msgspec.json.encode(data))


def retry(milliseconds: int) -> bytes:
    """Tell the browser when to come again after the stream has ended."""
    return b"retry: %d\n\n" % milliseconds


def beat(version: int) -> bytes:
    """Say that the ledger stands where it stood."""
    return frame("beat", {"version": version, "sent": datetime.now(UTC)})


def told(name: str) -> bytes:
    """Say something of no ledger: ready, change or beat."""
    return frame(name, {"sent": datetime.now(UTC)})


def closed(reason: str) -> bytes:
    """Say why the stream ends: access or shutdown."""
    return frame("closed", {"reason": reason})
