"""Whatever statement changes a ledger, and from wherever, adds one version and says what it did."""

import io
from decimal import Decimal

import asyncpg
import pytest

from freshledger.database import create_engine
from ledger import Ledger, changes_of, link, look, made, version_of


async def since(db, ledger: Ledger, statement: str, *arguments: object) -> list[tuple]:
    """Run a statement; return what it did, after the checks that hold for all of them."""
    before = await version_of(db, ledger.id)
    await db.execute(statement, *arguments)
    assert not (await look(db, ledger.id)).faults
    done = await made(db, ledger.id, before)
    assert await version_of(db, ledger.id) == before + bool(done)
    return done


async def test_a_new_ledger(db, ledger: Ledger):
    assert await version_of(db, ledger.id) == 2
    assert not (await look(db, ledger.id)).faults
    assert {row[0] for row in await made(db, ledger.id, 0)} == {
        "ledgers", "members", "wallets", "wallet_addresses", "labels", "contacts",
        "contact_addresses", "transactions",
    }  # fmt: skip


async def test_copy_into_two_ledgers(db, ledger: Ledger, other: Ledger):
    text = f"{ledger.id}\tcopied\n{other.id}\tcopied\n{ledger.id}\tcopied too\n"
    await db.copy_to_table(
        "labels", source=io.BytesIO(text.encode()), columns=["ledger_id", "name"]
    )
    assert await made(db, ledger.id, 2) == [("labels", "I", 2)]
    assert await made(db, other.id, 2) == [("labels", "I", 1)]
    assert not (await look(db, ledger.id)).faults
    assert not (await look(db, other.id)).faults


async def test_on_conflict(db, ledger: Ledger):
    insert = (
        "INSERT INTO labels (ledger_id, name) SELECT $1, n FROM unnest(ARRAY['label 1', 'new']) n"
        " ON CONFLICT (ledger_id, lower(name)) "
    )
    update = insert + "DO UPDATE SET color = 'red'"
    assert await since(db, ledger, update, ledger.id) == [("labels", "U", 1), ("labels", "I", 1)]
    assert await since(db, ledger, insert + "DO NOTHING", ledger.id) == []


async def test_merge(db, ledger: Ledger):
    merge = """
    MERGE INTO labels l USING (VALUES ('label 1'), ('label 2'), ('new')) v (name)
      ON l.ledger_id = $1 AND l.name = v.name
    WHEN MATCHED AND l.name = 'label 1' THEN DELETE
    WHEN MATCHED THEN UPDATE SET color = 'red'
    WHEN NOT MATCHED THEN INSERT (ledger_id, name) VALUES ($1, v.name)
    """
    done = await since(db, ledger, merge, ledger.id)
    assert sorted(done) == [("labels", "D", 1), ("labels", "I", 1), ("labels", "U", 1)]


async def test_writable_ctes(db, ledger: Ledger):
    done = await since(
        db,
        ledger,
        "WITH a AS (UPDATE labels SET color = 'red' WHERE ledger_id = $1 RETURNING id),"
        " b AS (DELETE FROM contacts WHERE ledger_id = $1 AND id = $2),"
        " c AS (INSERT INTO wallets (ledger_id, name) VALUES ($1, 'new'))"
        " UPDATE transactions SET note = 'x' WHERE ledger_id = $1",
        ledger.id,
        ledger.contacts[0],
    )
    assert sorted(done) == [
        ("contact_addresses", "D", 5),
        ("contacts", "D", 1),
        ("labels", "U", 5),
        ("transactions", "U", 20),
        ("wallets", "I", 1),
    ]


async def test_cascades(db, ledger: Ledger):
    await link(db, ledger)
    delete_contact = "DELETE FROM contacts WHERE ledger_id = $1"
    assert await since(db, ledger, delete_contact, ledger.id) == [
        ("contacts", "D", 5),
        ("contact_addresses", "D", 25),
    ]
    move = "UPDATE transactions SET occurred_at = occurred_at + '1 day' WHERE ledger_id = $1"
    assert await since(db, ledger, move, ledger.id) == [
        ("transactions", "U", 20),
        ("transaction_labels", "U", 20),
    ]
    delete_wallet = "DELETE FROM wallets WHERE ledger_id = $1"
    assert {row[0]: row[2] for row in await since(db, ledger, delete_wallet, ledger.id)} == {
        "wallets": 1, "wallet_addresses": 1, "transactions": 20, "transaction_labels": 20,
    }  # fmt: skip


async def test_a_contact_set_by_hand_and_deleted(db, ledger: Ledger):
    by_hand = "UPDATE transactions SET contact_id = $2 WHERE ledger_id = $1"
    await db.execute(by_hand, ledger.id, ledger.contacts[0])
    delete = "DELETE FROM contacts WHERE ledger_id = $1 AND id = $2"
    done = await since(db, ledger, delete, ledger.id, ledger.contacts[0])
    assert ("transactions", "U", 20) in done


async def test_no_rows_no_version(db, ledger: Ledger):
    nothing = "UPDATE labels SET color = 'red' WHERE ledger_id = $1 AND id = 0"
    assert await since(db, ledger, nothing, ledger.id) == []


@pytest.mark.parametrize(
    "table", ["transactions", "labels", "ledgers", "heads", "changes", "users"]
)
async def test_truncate_is_refused(db, ledger: Ledger, table: str):
    for role in ("origin", "replica"):
        await db.execute(f"SET session_replication_role = {role}")
        with pytest.raises(asyncpg.FeatureNotSupportedError, match="Use DELETE"):
            await db.execute(f"TRUNCATE {table} CASCADE")
    assert await version_of(db, ledger.id) == 2


async def test_replication_role_replica(db, ledger: Ledger):
    await db.execute("SET session_replication_role = replica")
    rename = "UPDATE labels SET name = name || '!' WHERE ledger_id = $1"
    assert await since(db, ledger, rename, ledger.id) == [("labels", "U", 5)]
    row_version = await db.fetchval(
        "SELECT min(version) FROM labels WHERE ledger_id = $1", ledger.id
    )
    assert row_version == 2


async def test_savepoints(db, ledger: Ledger):
    async with db.transaction():
        undone = db.transaction()
        await undone.start()
        await db.execute("UPDATE labels SET name = name || '?' WHERE ledger_id = $1", ledger.id)
        await undone.rollback()
        await db.execute("UPDATE labels SET color = 'red' WHERE ledger_id = $1", ledger.id)
        kept = db.transaction()
        await kept.start()
        await db.execute("UPDATE wallets SET note = 'x' WHERE ledger_id = $1", ledger.id)
        await kept.commit()
    assert await made(db, ledger.id, 2) == [("labels", "U", 5), ("wallets", "U", 1)]
    assert await version_of(db, ledger.id) == 3
    assert not (await look(db, ledger.id)).faults


async def test_rolled_back_is_gapless(db, ledger: Ledger):
    transaction = db.transaction()
    await transaction.start()
    await db.execute("UPDATE labels SET color = 'red' WHERE ledger_id = $1", ledger.id)
    await db.execute("SET CONSTRAINTS stamp IMMEDIATE")
    assert await version_of(db, ledger.id) == 3
    await transaction.rollback()
    await db.execute("UPDATE labels SET color = 'red' WHERE ledger_id = $1", ledger.id)
    assert await version_of(db, ledger.id) == 3


async def test_version_before_commit(db, ledger: Ledger):
    """Once asked for, the version is given; what the transaction does later joins it."""
    async with db.transaction():
        await db.execute("UPDATE labels SET color = 'red' WHERE ledger_id = $1", ledger.id)
        await db.execute("SET CONSTRAINTS stamp IMMEDIATE")
        assert await version_of(db, ledger.id) == 3
        await db.execute("UPDATE wallets SET note = 'x' WHERE ledger_id = $1", ledger.id)
    assert await version_of(db, ledger.id) == 3
    assert not (await look(db, ledger.id)).faults


async def test_rows_moved_to_another_ledger(db, ledger: Ledger, other: Ledger):
    await db.execute("UPDATE labels SET name = name || '!' WHERE ledger_id = $1", ledger.id)
    await db.execute(
        "UPDATE labels SET ledger_id = CASE WHEN id = $2 THEN $3 ELSE ledger_id END, color = 'red'"
        " WHERE ledger_id = $1",
        ledger.id,
        ledger.labels[0],
        other.id,
    )
    assert sorted(await made(db, ledger.id, 3)) == [("labels", "D", 1), ("labels", "U", 4)]
    assert await made(db, other.id, 2) == [("labels", "I", 1)]
    assert not (await look(db, ledger.id)).faults
    assert not (await look(db, other.id)).faults


async def test_changed_names_of_members(db, ledger: Ledger):
    rename = "UPDATE users SET name = 'Bob' WHERE id = $1"
    assert await since(db, ledger, rename, ledger.user) == [("users", "U", 1)]
    theme = "UPDATE users SET theme = 'dark' WHERE id = $1"
    assert await since(db, ledger, theme, ledger.user) == []
    archive = "UPDATE ledgers SET archived_at = now() WHERE id = $1"
    assert await since(db, ledger, archive, ledger.id) == [("ledgers", "U", 1)]


@pytest.mark.parametrize(
    "setting",
    [
        "'nonsense'",
        "'1/00000000-0000-0000-0000-000000000000/1'",
        "lpad(to_hex(pg_current_xact_id()::text::bigint), 16, '0') || 'nonsense'",
        "replace((SELECT tx FROM heads WHERE ledger_id = $1)::text, '-', '') || '/' || $1",
        "pg_current_xact_id() || '/' || (SELECT tx FROM heads WHERE ledger_id = $1) || '/' || $1",
    ],
)
async def test_hostile_setting(db, ledger: Ledger, setting: str):
    """Nobody can hide a change behind a version that is there already."""
    for local in ("true", "false"):
        before = await version_of(db, ledger.id)
        async with db.transaction():
            use = f"SELECT set_config('freshledger.tx', {setting}, {local})"
            await db.execute(use, *([ledger.id] if "$1" in setting else []))
            await db.execute("UPDATE labels SET name = name || '!' WHERE ledger_id = $1", ledger.id)
        assert await version_of(db, ledger.id) == before + 1
        assert await made(db, ledger.id, before) == [("labels", "U", 5)]
        assert not (await look(db, ledger.id)).faults


async def test_many_ledgers_in_one_transaction(db):
    """Each is stamped once and its trigger looks at no other's, whatever their number is."""
    await db.execute("SET track_functions = 'pl'")
    async with db.transaction():
        await db.execute("INSERT INTO ledgers (name) SELECT 'L' || n FROM generate_series(1, 40) n")
        await db.execute("INSERT INTO wallets (ledger_id, name) SELECT id, 'Main' FROM ledgers")
        await db.execute("UPDATE wallets SET note = 'x'")
    await db.execute("SELECT pg_stat_force_next_flush()")
    calls = "SELECT funcname, calls FROM pg_stat_user_functions WHERE funcname ~ '^stamp'"
    assert dict(await db.fetch(calls)) == {"stamp": 120, "stamp_ledger": 41}
    assert await db.fetch("SELECT DISTINCT version FROM heads") == [(1,)]


async def test_hostile_list_of_ledgers(db, ledger: Ledger, other: Ledger):
    """Naming ledgers that were not changed gives them no version."""
    async with db.transaction():
        await db.execute("UPDATE labels SET color = 'red' WHERE ledger_id = $1", ledger.id)
        add = "SELECT set_config('freshledger.tx', current_setting('freshledger.tx') || $1, true)"
        await db.execute(add, f",{other.id}")
    assert await version_of(db, ledger.id) == 3
    assert await version_of(db, other.id) == 2


async def test_user_without_rights_on_the_versions(db, ledger: Ledger):
    await db.execute(
        "CREATE ROLE clerk; GRANT SELECT, INSERT, UPDATE, DELETE ON labels, contacts TO clerk"
    )
    try:
        await db.execute("SET SESSION AUTHORIZATION clerk")
        for table in ("heads", "revisions", "changes"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await db.execute(f"SELECT FROM {table}")
        await db.execute("UPDATE labels SET name = name || '!' WHERE ledger_id = $1", ledger.id)
        await db.execute("DELETE FROM contacts WHERE ledger_id = $1", ledger.id)
        await db.execute("RESET SESSION AUTHORIZATION")
        assert [row["actor"] for row in await changes_of(db, ledger.id, 2)] == ["clerk"] * 3
        assert await version_of(db, ledger.id) == 4
        assert not (await look(db, ledger.id)).faults
    finally:
        await db.execute("DROP OWNED BY clerk; DROP ROLE clerk")


async def test_other_search_path(db, ledger: Ledger):
    await db.execute(
        "CREATE SCHEMA planted; CREATE TABLE planted.changes (); SET search_path = planted"
    )
    rename = "UPDATE public.labels SET name = name || '!' WHERE ledger_id = $1"
    await db.execute(rename, ledger.id)
    await db.execute("RESET search_path")
    assert await made(db, ledger.id, 2) == [("labels", "U", 5)]


async def test_actor(db, ledger: Ledger):
    rename = "UPDATE labels SET name = name || '!' WHERE ledger_id = $1"
    for actor in ("user:7", ""):
        await db.execute("SELECT set_config('freshledger.actor', $1, false)", actor)
        await db.execute(rename, ledger.id)
    actors = [row["actor"] for row in await changes_of(db, ledger.id, 2)]
    assert actors == ["user:7", "postgres"]


async def test_contents_are_exact(db, own_database: str, ledger: Ledger):
    """Before and after hold the columns that changed, and every digit."""
    wei = Decimal("-123456789012345678901234567890.000000000000000001")
    row = ledger.transactions[0]
    await db.execute(
        "UPDATE transactions SET amount = $3, note = 'x' WHERE ledger_id = $1 AND id = $2",
        ledger.id,
        row,
        wei,
    )
    await db.execute("DELETE FROM transactions WHERE ledger_id = $1 AND id = $2", ledger.id, row)
    engine = create_engine(own_database)
    async with engine.connect() as connection:
        read = "SELECT ids, before, after FROM changes ORDER BY part DESC LIMIT 2"
        deleted, updated = (await connection.exec_driver_sql(read)).all()
    await engine.dispose()
    assert updated.ids == deleted.ids == [row]
    assert updated.before == [{"amount": Decimal("0.125"), "note": "", "version": 1}]
    assert updated.after == [{"amount": wei, "note": "x", "version": 2}]
    assert deleted.before[0]["amount"] == wei
    assert deleted.before[0]["counterparty"] == "bc1q2x1"
    assert deleted.after is None


async def test_bulk(db, ledger: Ledger):
    """The app's edits keep all rows; imports, and others' over 10,000 rows, their number."""
    await db.execute("SELECT set_config('freshledger.actor', 'user:1', false)")
    many = (
        "INSERT INTO labels (ledger_id, name) SELECT $1, $2 || n FROM generate_series(1, 10001) n"
    )
    await db.execute(many, ledger.id, "app ")
    await db.execute("SELECT set_config('freshledger.actor', '', false)")
    await db.execute(many, ledger.id, "psql ")
    async with db.transaction():
        await db.execute("SELECT set_config('freshledger.import', '7', true)")
        await db.execute("UPDATE wallets SET note = 'imported' WHERE ledger_id = $1", ledger.id)
    *app, psql, batch = await changes_of(db, ledger.id, 2)
    assert [len(row["ids"]) for row in app] == [5000, 5000, 1]
    assert sum(row["count"] for row in app) == psql["count"] == 10001
    assert (psql["ids"], psql["after"]) == (None, None)
    assert (batch["import_id"], batch["count"], batch["ids"]) == (7, 1, None)


async def test_deleting_a_ledger(db, ledger: Ledger, other: Ledger):
    await link(db, ledger)
    async with db.transaction():
        await db.execute("UPDATE labels SET color = 'red' WHERE ledger_id = $1", ledger.id)
        await db.execute("DELETE FROM ledgers WHERE id = $1", ledger.id)
    for table in ("heads", "revisions", "changes", "transactions", "transaction_labels", "members"):
        left = await db.fetchval(f"SELECT count(*) FROM {table} WHERE ledger_id = $1", ledger.id)
        assert left == 0, table
    assert await version_of(db, other.id) == 2
    await db.execute("DELETE FROM users WHERE id = $1", other.user)
    assert await made(db, other.id, 2) == [("members", "D", 1)]
    assert not (await look(db, other.id)).faults
