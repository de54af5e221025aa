"""What the record of changes says of one row."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from freshledger.changelog import name_actors, row_edits
from freshledger.database import PROGRAM
from ledger import make_ledger


@pytest.fixture
async def kept(psql):
    return await make_ledger(psql, rows=3)


@pytest.fixture
def edits(database, kept):
    async def read(row_id, since=0, table="transactions"):
        async with database.read() as session:
            return await row_edits(
                session, ledger_id=kept.id, table=table, row_id=row_id, since_version=since
            )

    return read


async def test_each_edit_of_a_row_with_who_and_when(edits, kept, psql):
    one, two = kept.transactions[:2]
    started = datetime.now(UTC)
    async with psql.transaction():
        await psql.execute(f"SELECT set_config('freshledger.actor', 'user:{kept.user}', true)")
        await psql.execute("UPDATE transactions SET note = 'a' WHERE id = ANY($1)", [one, two])
        await psql.execute("UPDATE transactions SET note = 'b' WHERE id = $1", two)
    await psql.execute("UPDATE transactions SET amount = 1.25 WHERE id = $1", two)
    head = await psql.fetchval("SELECT version FROM heads WHERE ledger_id = $1", kept.id)
    first, second, third = await edits(two, since=1)
    assert [edit.version for edit in (first, second, third)] == [2, 3, 4]
    assert [edit.ledger_version for edit in (first, second, third)] == [head - 1, head - 1, head]
    assert (first.before, first.after) == (
        {"note": "", "version": 1},
        {"note": "a", "version": 2},
    )
    assert (second.before["note"], second.after["note"]) == ("a", "b")
    assert set(third.after) == {"amount", "version"}
    assert [edit.actor for edit in (first, third)] == [f"user:{kept.user}", "postgres"]
    assert started <= first.at <= third.at <= datetime.now(UTC)
    assert await edits(two, since=3) == [third]
    assert [edit.version for edit in await edits(one, since=1)] == [2]


async def test_a_rows_own_place_in_a_long_record(edits, kept, psql):
    """Chunks hold 5,000 rows: the element must be this row's."""
    await psql.execute(
        "INSERT INTO transactions (ledger_id, wallet_id, group_key, identity, occurred_at, type,"
        " asset, amount) SELECT $1, $2, 'g', 'many ' || n, now(), 'receive', 'BTC', n"
        " FROM generate_series(1, 5100) n",
        kept.id,
        kept.wallet,
    )
    await psql.execute("UPDATE transactions SET note = 'of ' || id WHERE ledger_id = $1", kept.id)
    last = await psql.fetchval("SELECT max(id) FROM transactions WHERE ledger_id = $1", kept.id)
    for row_id in (last, last - 700, kept.transactions[1]):
        (edit,) = await edits(row_id, since=1)
        assert edit.after == {"note": f"of {row_id}", "version": 2}


async def test_insertion_and_deletion(edits, kept, psql):
    one = kept.transactions[0]
    await psql.execute("DELETE FROM transactions WHERE id = $1", one)
    came, gone = await edits(one)
    assert (came.version, came.before, came.after["identity"]) == (1, None, "i1")
    assert (gone.version, gone.before["identity"], gone.after) == (2, "i1", None)
    assert await edits(one, since=1) == [gone]


async def test_other_tables_and_ledgers_are_not_told(edits, kept, psql):
    one = kept.transactions[0]
    other = await make_ledger(psql, rows=1)
    await psql.execute("UPDATE transactions SET note = 'x' WHERE ledger_id = $1", other.id)
    assert await edits(other.transactions[0]) == []
    assert await edits(one, table="wallets") == []


async def test_what_was_recorded_without_rows_is_missing(edits, kept, psql):
    one = kept.transactions[0]
    async with psql.transaction():
        await psql.execute("SELECT set_config('freshledger.import', '1', true)")
        await psql.execute("UPDATE transactions SET status = 'pending' WHERE id = $1", one)
    await psql.execute("UPDATE transactions SET note = 'x' WHERE id = $1", one)
    assert [edit.version for edit in await edits(one, since=1)] == [3]


async def test_actors_are_named(database, kept, psql):
    nameless = await psql.fetchval(
        "INSERT INTO users (email, name) VALUES (gen_random_uuid() || '@example.org', '')"
        " RETURNING email"
    )
    number = await psql.fetchval("SELECT id FROM users WHERE email = $1", nameless)
    actors = {
        f"user:{kept.user}": "Ann",
        f"user:{number}": nameless,
        "user:999999999999999999": "somebody whose account is gone",
        "user:9999999999999999999": "psql user user:9999999999999999999",
        "postgres": "psql user postgres",
        "program": "freshledger",
    }
    async with database.read() as session:
        assert await name_actors(session, actors) == actors
        assert await name_actors(session, []) == {}


async def test_what_the_program_writes_for_nobody_is_its_own(database, kept, psql):
    async with database.write.begin() as session:
        await session.execute(
            text("UPDATE transactions SET note = 'x' WHERE id = :id"), {"id": kept.transactions[0]}
        )
    query = "SELECT actor FROM changes WHERE ledger_id = $1 ORDER BY part DESC LIMIT 1"
    assert await psql.fetchval(query, kept.id) == PROGRAM
