"""Runs the migrations: one at a time, giving up rather than blocking others for long."""

import asyncio

from alembic import context
from sqlalchemy import Connection, NullPool, text

from freshledger.database import create_engine
from freshledger.models import Base

MIGRATION_LOCK = 5_716_921_140
"""The advisory lock that lets one program migrate at a time."""


def migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_type=True,
        compare_server_default=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


async def main() -> None:
    engine = create_engine(context.config.attributes["url"], poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.execute(text("SET lock_timeout = 0"))
        await connection.execute(text(f"SELECT pg_advisory_lock({MIGRATION_LOCK})"))
        await connection.execute(text("SET lock_timeout = '5s'"))
        await connection.commit()
        await connection.run_sync(migrate)
        await connection.commit()
    await engine.dispose()


asyncio.run(main())
