"""The schema keeps its own rules, and models, migrations and code say the same."""

from collections import defaultdict

import asyncpg
import pytest
from alembic.script import ScriptDirectory
from sqlalchemy.orm import configure_mappers

from freshledger.chains import CHAINS, network_of
from freshledger.models import Base
from freshledger.models.stamping import EXEMPT, STAMPED
from freshledger.schema import alembic_config

IN_LEDGER = {name for name, table in Base.metadata.tables.items() if "ledger_id" in table.columns}

TRIGGERS = """
SELECT relname, tgname, tgenabled, tgtype, proname
FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid JOIN pg_proc p ON p.oid = tgfoid
WHERE NOT tgisinternal
"""
INSERT, DELETE, UPDATE, TRUNCATE = 1 << 2, 1 << 3, 1 << 4, 1 << 5


@pytest.fixture
async def db(own_database: str):
    connection = await asyncpg.connect(own_database)
    yield connection
    await connection.close()


def test_every_table_of_a_ledger_is_stamped_or_exempt():
    assert STAMPED | EXEMPT.keys() == IN_LEDGER
    assert not STAMPED & EXEMPT.keys()
    assert all(EXEMPT.values())


async def test_stamped_tables_have_their_triggers(db):
    events: defaultdict[str, int] = defaultdict(int)
    for row in await db.fetch(TRIGGERS):
        if row["proname"] == f"note_{row['relname']}":
            events[row["relname"]] |= row["tgtype"]
    assert events.keys() == STAMPED
    assert {kinds & (INSERT | UPDATE | DELETE) for kinds in events.values()} == {
        INSERT | UPDATE | DELETE
    }


async def test_what_a_page_shows_cannot_be_truncated(db):
    rows = await db.fetch(TRIGGERS)
    refused = {row["relname"] for row in rows if row["tgtype"] & TRUNCATE}
    assert refused == STAMPED | {"ledgers", "users", "heads", "revisions", "changes"}


async def test_every_trigger_is_always(db):
    rows = await db.fetch(TRIGGERS)
    assert [tuple(row) for row in rows if row["tgenabled"] != b"A"] == []
    assert len(rows) > len(STAMPED) * 4


def test_the_migration_names_the_same_tables():
    script = ScriptDirectory.from_config(alembic_config(""))
    assert script.get_revision("0002").module.KEYS.keys() == STAMPED


def test_relationships_never_load_by_themselves():
    configure_mappers()
    lazy = [
        f"{mapper.class_.__name__}.{relationship.key}"
        for mapper in Base.registry.mappers
        for relationship in mapper.relationships
        if relationship.lazy not in {"raise", "write_only"}
    ]
    assert lazy == []


KEYS = """
SELECT conrelid::regclass::text AS name, conname, contype, confrelid::regclass::text AS target,
       (SELECT array_agg(attname::text ORDER BY place) FROM unnest(conkey) WITH ORDINALITY k (n, place)
        JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = n) AS columns
FROM pg_constraint WHERE contype IN ('p', 'u', 'f') AND connamespace = 'public'::regnamespace
"""
INDEXES = """
SELECT indrelid::regclass::text AS name,
       pg_get_expr(indpred, indrelid) AS predicate,
       (SELECT array_agg(coalesce(attname::text, '') ORDER BY place)
        FROM unnest(indkey::int2[]) WITH ORDINALITY k (n, place)
        LEFT JOIN pg_attribute a ON a.attrelid = indrelid AND a.attnum = n AND n > 0) AS columns
FROM pg_index WHERE indrelid::regclass::text NOT LIKE 'pg_%'
"""


def serves(index: asyncpg.Record, columns: list[str]) -> bool:
    """Whether the index finds the rows of a key: by two of its columns at least, or by all."""
    if index["predicate"] and index["predicate"] not in {
        f"({name} IS NOT NULL)" for name in columns
    }:
        return False
    needed = min(2, len(columns))
    return set(index["columns"][:needed]) <= set(columns) and len(index["columns"]) >= needed


async def unindexed(db) -> list[str]:
    indexes = await db.fetch(INDEXES)
    return [
        f"{key['name']}: {key['conname']}"
        for key in await db.fetch(KEYS)
        if key["contype"] == b"f"
        and not any(
            serves(index, key["columns"]) for index in indexes if index["name"] == key["name"]
        )
    ]


async def test_every_foreign_key_is_indexed(db):
    assert await unindexed(db) == []
    await db.execute("DROP INDEX ix_members_user_id, ix_transactions_contact, "
                     "ix_transactions_contact_asset")  # fmt: skip
    assert len(await unindexed(db)) == 2


async def test_every_key_in_a_ledger_begins_with_it(db):
    """So a row can never point into another ledger."""
    own = {"users", "ledgers"}
    others = [
        key["conname"]
        for key in await db.fetch(KEYS)
        if key["name"] in IN_LEDGER
        and "ledger_id" not in key["columns"][:1]
        and not (key["contype"] == b"f" and key["target"] in own)
    ]
    assert others == []


async def test_networks(db):
    """SQL's network_of, of which a stored column is made, and ours are the same."""
    chains = [*CHAINS, "unknown", "", None]
    rows = await db.fetch("SELECT network_of(c) FROM unnest($1::text[]) c", chains)
    assert [row[0] for row in rows] == [network_of(chain) for chain in chains]
