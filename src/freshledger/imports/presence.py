"""Tells other processes that work which waits its turn here is not left behind."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger.database import Database

_HOLD = text("""
SELECT pg_advisory_lock_shared(hashtextextended('waiting ' || name, 0))
FROM unnest(CAST(:names AS text[])) name
""")
_LET_GO = text("SELECT pg_advisory_unlock_shared(hashtextextended('waiting ' || :name, 0))")


class Presence:
    """Advisory locks of this process on one connection, which it has while there is any work."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._session: AsyncSession | None = None
        self._names: list[str] = []
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def shown(self, name: str) -> AsyncIterator[None]:
        """Hold the lock called `name` for the time of the block."""
        self._names.append(name)
        try:
            async with self._turn:
                await self._hold(name)
            yield
        finally:
            self._names.remove(name)
            await asyncio.shield(self._let_go(name))

    async def _hold(self, name: str) -> None:
        if self._session is not None:
            try:
                await self._session.execute(_HOLD, {"names": [name]})
            except SQLAlchemyError:  # the connection is gone, and all its locks
                await self._drop()
            else:
                return
        self._session = self._database.read()
        await self._session.execute(_HOLD, {"names": self._names})

    async def _let_go(self, name: str) -> None:
        async with self._turn:
            if self._session is None:
                return
            try:
                await self._session.execute(_LET_GO, {"name": name})
                if not self._names:
                    await self._session.close()
                    self._session = None
            except SQLAlchemyError:
                await self._drop()

    async def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.invalidate()
