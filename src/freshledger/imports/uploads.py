"""Reads uploads: tasks of this process with sessions of their own, which outlive the browser."""

import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger.database import Database
from freshledger.imports import commands, work
from freshledger.imports.committing import Key
from freshledger.imports.files import drop_spool
from freshledger.imports.work import READING
from freshledger.settings import Settings

_AS = text("SELECT set_config('freshledger.actor', :actor, true)")


async def run_upload(
    database: Database, settings: Settings, key: Key, *, actor: str, token: str | None
) -> None:
    """Read a claimed import's files; they are dropped if there is no way back to them."""

    async def read(session: AsyncSession) -> None:
        await session.execute(_AS, {"actor": actor})
        await commands.read_spooled(session, settings, key=key)

    try:
        await work.run(database, key, READING, read)
    except BaseException:
        await asyncio.shield(asyncio.to_thread(drop_spool, settings, token))
        raise
