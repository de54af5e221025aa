import gc

import asyncpg
import pytest
from probe import TABLES


@pytest.fixture(scope="session")
async def probe_url(database_url: str) -> str:
    """The worker's database, with the tables of the probe application."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(TABLES)
    await connection.close()
    return database_url


@pytest.fixture(autouse=True)
def collected():
    """What a planted fault leaked is collected while its test may still warn of it."""
    yield
    gc.collect()
