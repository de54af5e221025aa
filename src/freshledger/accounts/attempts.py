"""Guessing is slow: attempts to name a password are counted, by email and by address.

An attempt counts as a failure before it is looked at, in a transaction of its own: what is
refused must stay counted, and a thousand attempts at once are no more than one after the other.
"""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from freshledger.accounts import repository
from freshledger.database import Database
from freshledger.errors import TooMany

WINDOW = timedelta(minutes=15)
PER_EMAIL, PER_ADDRESS = 10, 100
"""Failures within the window after which the next attempt is refused."""


class Attempt:
    """One attempt; call `succeeded` where the password was right."""

    def __init__(self) -> None:
        self.right = False

    def succeeded(self) -> None:
        """Take the attempt, and the email's failures before it, off the count."""
        self.right = True


@asynccontextmanager
async def attempt(database: Database, *, email: str, address: str) -> AsyncIterator[Attempt]:
    """Count an attempt for the time of the block; raises TooMany where there were too many.

    Hold no connection meanwhile: this takes its own for a moment before and after.
    """
    by_email, by_address = _subject("email", email.strip().lower()), _subject("address", address)
    limits = {by_email: PER_EMAIL, by_address: PER_ADDRESS}
    async with database.write.begin() as session:
        await repository.lock_subjects(session, subjects=list(limits))
        for subject, limit in limits.items():
            await _refuse_beyond(session, subject, limit)
        ids = await repository.insert_failures(
            session, subjects=list(limits), forget_after=2 * WINDOW
        )
    this = Attempt()
    yield this
    if this.right:
        async with database.write.begin() as session:
            await repository.delete_failures(session, subject=by_email, ids=ids)


async def _refuse_beyond(session: AsyncSession, subject: bytes, limit: int) -> None:
    count, oldest = await repository.count_failures(session, subject=subject, within=WINDOW)
    if count >= limit and oldest is not None:
        seconds = max(1, int((oldest + WINDOW - datetime.now(UTC)).total_seconds()) + 1)
        minutes = -(-seconds // 60)
        raise TooMany(
            f"too many attempts; try again in {minutes} minute{'s' if minutes > 1 else ''}",
            retry_after=seconds,
        )


def _subject(kind: str, text: str) -> bytes:
    return hashlib.sha256(f"{kind}:{text}".encode()).digest()
