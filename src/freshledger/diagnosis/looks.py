"""What is seen of a page, and the matrix's cells that are made of it; needs no experiment."""

from typing import Literal

import msgspec

from freshledger.diagnosis.tables import AFTER, Rows

SEEN = ("missing", "old", "select")
COLUMNS = (
    *SEEN, "expire_all", "remove", "view", "elsewhere", "same", "own", "time", "process",
)  # fmt: skip
"""The matrix's columns; the first three are read off the stale page itself."""


class Look(msgspec.Struct, frozen=True):
    """The three copies at one look, and how the page came to be.

    `wire` is None where nothing was read for it. `answered` is False where the page was made for
    another request: nothing was sent. `flips`: another worker showed the latest state at the same
    time.
    """

    page: Rows
    wire: Rows | None
    truth: Rows
    truth_by: str
    answered: bool
    process: int
    thread: str
    sent: tuple[dict[str, str], ...]
    flips: bool = False

    @property
    def missing(self) -> bool:
        """Whether a new row is not on the page."""
        return not {id_ for id_, _ in AFTER} <= {id_ for id_, _ in self.page}

    @property
    def old(self) -> bool:
        """Whether a row is shown with a value that it has no more."""
        return not set(self.page) <= set(AFTER)

    @property
    def stale(self) -> bool:
        """Whether the page shows anything but the latest state."""
        return self.page != AFTER

    @property
    def selected(self) -> bool:
        """Whether a SELECT of what the page shows was sent for it: so the wire was asked too."""
        return self.wire is not None


Value = Literal["yes", "no", "partly", "not observable"]


class Cell(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing observed, with the looks that show it; or the `reason` why it cannot be.

    Of what is SEEN: `before` and `after` the write. Of a cure: the stale page, and the page then.
    """

    value: Value
    before: Look | None = None
    after: Look | None = None
    reason: str = ""
