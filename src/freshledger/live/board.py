"""What pages outside of any ledger show: the viewer's account and ledgers; for admins, all people.

One number per person stands for all of it. When it differs from the one of the last look, their
pages are behind.
"""

import asyncio
from collections.abc import Iterable

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from freshledger.live.access import READ_SECONDS
from freshledger.live.errands import Errand
from freshledger.live.streams import Stream

PAUSE = 0.1
"""Seconds between two looks, at least: every commit of every ledger asks for one."""

_MARKS = text("""
WITH everybody AS (
  SELECT coalesce((SELECT sum(hashtextextended(u::text, 0)) FROM users u), 0) || ':' ||
         coalesce((SELECT sum(hashtextextended(i::text, 0)) FROM invitations i), 0) AS mark
  WHERE EXISTS (SELECT FROM users WHERE id = ANY(CAST(:users AS bigint[])) AND is_admin))
SELECT u.id, hashtextextended(concat_ws('|', u::text,
    (SELECT string_agg(s::text, ',' ORDER BY s.id) FROM sessions s WHERE s.user_id = u.id),
    (SELECT string_agg(concat_ws(':', l.id, m.role, l.epoch, h.version), ',' ORDER BY l.id)
     FROM members m JOIN ledgers l ON l.id = m.ledger_id JOIN heads h ON h.ledger_id = l.id
     WHERE m.user_id = u.id),
    CASE WHEN u.is_admin THEN (SELECT mark FROM everybody) END), 0) AS mark
FROM users u WHERE u.id = ANY(CAST(:users AS bigint[]))
""")


class Board:
    """The streams of pages outside of any ledger; `confirmed_at` is when it last looked."""

    def __init__(self, read: async_sessionmaker[AsyncSession]) -> None:
        self.streams: set[Stream] = set()
        self.confirmed_at = 0.0
        self._read = read
        self._errand = Errand(self._look, "people's pages are not known")
        self.stop = self._errand.stop

    def ask(self) -> None:
        """Look again: somebody's account, or any ledger, may have changed."""
        if self.streams:
            self._errand.ask()

    async def look(self, session: AsyncSession, streams: Iterable[Stream]) -> None:
        """Compare with the last look; the first look of a stream only takes the number."""
        asked = list(streams)
        began = asyncio.get_running_loop().time()
        users = sorted({stream.ticket.user_id for stream in asked})
        rows = await session.execute(_MARKS, {"users": users})
        marks = {row.id: row.mark for row in rows}
        for stream in asked:
            mark = marks.get(stream.ticket.user_id)
            if stream.mark not in (None, mark):
                stream.changed = True
                stream.wake()
            stream.mark = mark
        self.confirmed_at = began

    async def _look(self) -> None:
        async with asyncio.timeout(READ_SECONDS), self._read() as session:
            await self.look(session, self.streams)
        await asyncio.sleep(PAUSE)
