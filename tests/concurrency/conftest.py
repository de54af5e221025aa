import asyncpg
import pytest

from freshledger.app import create_app
from freshledger.settings import Settings
from ledger import Ledger, make_ledger


@pytest.fixture
async def db(own_database: str):
    """Somebody in psql."""
    connection = await asyncpg.connect(own_database)
    yield connection
    await connection.close()


@pytest.fixture
async def ledger(db) -> Ledger:
    return await make_ledger(db)


@pytest.fixture
async def other(db) -> Ledger:
    return await make_ledger(db)


@pytest.fixture
async def site(own_database: str, tmp_path):
    """The application on a database of this test's own."""
    limits = {"pool_size": 5, "lock_timeout": 1.0}
    app = create_app(Settings(data_dir=tmp_path, database_url=own_database, **limits))
    async with app.test_app():
        yield app
