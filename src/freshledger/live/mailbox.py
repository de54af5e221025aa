"""A stream's mailbox: room for one event, into which all that comes meanwhile is merged."""

from collections.abc import Callable

from freshledger.live.events import Kind, News
from freshledger.live.reading import Stand


class Mailbox:
    """What a stream has still to say of its ledger; `version` is what it has said so far.

    A slow reader costs one event, whatever happens: it covers all versions since the last.
    """

    def __init__(self, ring: Callable[[], None]) -> None:
        self.version: int | None = None
        self._pending: News | None = None
        self._ring = ring

    @property
    def newest(self) -> int:
        """The newest version that was said or waits to be; 0 before it is settled."""
        said = self.version or 0
        return said if self._pending is None else max(said, self._pending.version)

    def put(self, news: News) -> None:
        """Add what happened; what the stream has said already is left out."""
        pending = self._pending
        base = self.version if pending is None else pending.version
        if news.kind is Kind.RESYNC or base is None:
            self._pending = news
        elif news.version <= base:
            return
        elif news.since > base:
            self._pending = news.as_resync()
        elif pending is None:
            self._pending = news.after(base)
        else:
            self._pending = pending.then(news)
        self._ring()

    def take(self) -> News | None:
        """Return what is to be said now, None if there is nothing."""
        news, self._pending = self._pending, None
        if news is not None:
            self.version = news.version
        return news

    def settle(self, stand: Stand) -> bool:
        """Begin at `stand`, which was read after the mailbox was put up.

        Return whether what came meanwhile connects to it; else it has been thrown away.
        """
        pending, self._pending = self._pending, None
        self.version = stand.version
        if pending is None:
            return True
        connects = pending.epoch == stand.epoch and pending.since <= stand.version
        if connects and pending.version > stand.version:
            self._pending = pending.after(stand.version)
        return connects
