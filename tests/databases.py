"""Databases for tests: clones of the template."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
from sqlalchemy import make_url

from freshledger.embedded import EmbeddedServer


def url_of(server: EmbeddedServer, database: str) -> str:
    return make_url(server.url).set(database=database).render_as_string(hide_password=False)


async def execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@asynccontextmanager
async def cloned(server: EmbeddedServer, template: str) -> AsyncIterator[str]:
    name = f"test_{uuid4().hex}"
    admin = url_of(server, "postgres")
    await execute(admin, f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield url_of(server, name)
    finally:
        await execute(admin, f"DROP DATABASE {name} WITH (FORCE)")
