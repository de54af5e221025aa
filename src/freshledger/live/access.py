"""Whether those who watch may still do so: each stream's standing, compared with that of its start.

A stream is the work of one session or token. When that ends, or its user, role or password are
no longer the same, the stream ends, whoever made the change.
"""

import asyncio
from collections.abc import Callable, Iterable

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from freshledger.database import AnyRow
from freshledger.live.errands import Errand
from freshledger.live.streams import Standing, Stream, Ticket

READ_SECONDS = 5


_STANDINGS = text("""
SELECT w.n, u.id AS user_id, m.role, NULL AS scope, u.is_admin,
       sha256(convert_to(coalesce(u.password_hash, ''), 'UTF8')) AS password,
       extract(epoch FROM s.expires_at - clock_timestamp())::float8 AS seconds
FROM unnest(CAST(:hashes AS bytea[]), CAST(:ledgers AS bigint[])) WITH ORDINALITY w (hash, ledger, n)
JOIN sessions s ON s.token_hash = w.hash AND s.expires_at > clock_timestamp()
JOIN users u ON u.id = s.user_id AND u.disabled_at IS NULL
LEFT JOIN members m ON m.ledger_id = w.ledger AND m.user_id = u.id
WHERE w.ledger IS NULL OR m.user_id IS NOT NULL
UNION ALL
SELECT w.n, u.id, m.role, t.scope, u.is_admin,
       sha256(convert_to(coalesce(u.password_hash, ''), 'UTF8')),
       extract(epoch FROM t.expires_at - clock_timestamp())::float8
FROM unnest(CAST(:tokens AS bigint[]), CAST(:ledgers AS bigint[])) WITH ORDINALITY w (token, ledger, n)
JOIN tokens t ON t.ledger_id = w.ledger AND t.id = w.token AND t.revoked_at IS NULL
  AND (t.expires_at IS NULL OR t.expires_at > clock_timestamp())
JOIN users u ON u.id = t.user_id AND u.disabled_at IS NULL
JOIN members m ON m.ledger_id = w.ledger AND m.user_id = u.id
""")


def _standing(row: AnyRow) -> Standing:
    return Standing(row.user_id, row.role, row.scope, row.is_admin, row.password)


class Guard:
    """All streams of a process, and the one query that says which of them may go on."""

    def __init__(self, read: async_sessionmaker[AsyncSession]) -> None:
        self.streams: set[Stream] = set()
        self._read = read
        self._suspects: set[Stream] = set()
        self._errand = Errand(self._check_suspects, "streams' access is not known")
        self.stop = self._errand.stop

    def suspect(self, concerned: Callable[[Ticket], bool]) -> None:
        """Check those streams' standing: something about them may have changed."""
        self._suspects |= {stream for stream in self.streams if concerned(stream.ticket)}
        if self._suspects:
            self._errand.ask()

    async def check(self, session: AsyncSession, streams: Iterable[Stream]) -> None:
        """Compare standings with those at the streams' starts; end those that differ.

        The first check of a stream takes its standing. Those of one ticket are asked for once.
        """
        asked: dict[Ticket, list[Stream]] = {}
        for stream in streams:
            asked.setdefault(stream.ticket, []).append(stream)
        values = {
            "hashes": [ticket.session_hash for ticket in asked],
            "tokens": [ticket.token_id for ticket in asked],
            "ledgers": [ticket.ledger_id for ticket in asked],
        }
        rows = {row.n: row for row in await session.execute(_STANDINGS, values)}
        now = asyncio.get_running_loop().time()
        for number, together in enumerate(asked.values(), 1):
            row = rows.get(number)
            standing = _standing(row) if row else None
            for stream in together:
                if standing is None or stream.standing not in (None, standing):
                    stream.end("access")
                stream.standing = standing
                stream.expires_at = (
                    None if row is None or row.seconds is None else now + row.seconds
                )

    async def _check_suspects(self) -> None:
        suspects, self._suspects = self._suspects & self.streams, set()
        if suspects:
            async with asyncio.timeout(READ_SECONDS), self._read() as session:
                await self.check(session, suspects)
