from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select

from freshledger.database import Database
from freshledger.demo.ledger import has_demo, make_demo
from freshledger.models import Contact, Transaction, Wallet
from freshledger.settings import Settings

UNTIL = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
async def fresh(own_database, settings):
    database = Database(
        Settings(data_dir=settings.data_dir, database_url=own_database), own_database
    )
    yield database
    await database.dispose()


async def digest(session):
    columns = (Transaction.identity, Transaction.amount, Transaction.txid, Transaction.occurred_at)
    rows = await session.execute(select(*columns).order_by(Transaction.id))
    return [tuple(row) for row in rows]


async def test_realistic_and_the_same_every_time(fresh):
    made = []
    for _ in range(2):
        async with fresh.write() as session:
            seen = []
            ledger = await make_demo(
                session, until=UNTIL, progress=lambda *p, seen=seen: seen.append(p)
            )
            assert seen[-1][0] == seen[-1][1]
            assert await has_demo(session)
            assert await session.scalar(select(func.count()).select_from(Contact)) >= 20
            assert await session.scalar(select(func.count()).select_from(Wallet)) == 8
            chains = await session.scalars(select(Transaction.chain).distinct())
            assert set(chains) == {"bitcoin", "ethereum", "polygon", None}
            first, last = (
                await session.execute(
                    select(func.min(Transaction.occurred_at), func.max(Transaction.occurred_at))
                )
            ).one()
            assert last - first > (UNTIL - UNTIL.replace(year=2021)) * 0.98
            assert ledger > 0
            made.append(await digest(session))
            await session.rollback()
    assert len(made[0]) >= 5000
    assert made[0] == made[1]
