"""Edits of selections: one statement, exactly the set that was seen, nothing of other ledgers."""

from dataclasses import replace

import pytest
from sqlalchemy import event

from books import make_books
from freshledger.errors import NotFound, PreconditionFailed
from freshledger.transactions import bulk, commands, repository
from freshledger.transactions.filters import EVERYTHING, Selection, TransactionFilter
from freshledger.transactions.periods import Clock

ALL = Selection(where=EVERYTHING, clock=Clock.of("UTC"))


@pytest.fixture
async def ids(psql, books, things):
    """Ids of 40 movements in groups of two."""
    rows = await psql.fetch(
        "INSERT INTO transactions (ledger_id, wallet_id, identity, group_key, occurred_at, type,"
        " asset, amount) SELECT $1, $2, n, n / 2, '2024-01-01Z'::timestamptz + n * interval '1 h',"
        " 'send', CASE WHEN n % 2 = 0 THEN 'BTC' ELSE 'ETH' END, -1 FROM generate_series(0, 39) n"
        " RETURNING id",
        books.ledger_id,
        things.wallet,
    )
    return [row[0] for row in rows]


async def labelled(psql, label):
    rows = await psql.fetch(
        "SELECT l.transaction_id FROM transaction_labels l JOIN transactions t ON"
        " (t.ledger_id, t.id, t.occurred_at, t.wallet_id, t.asset, t.type) ="
        " (l.ledger_id, l.transaction_id, l.occurred_at, l.wallet_id, l.asset, l.type)"
        " WHERE l.label_id = $1 ORDER BY 1",
        label,
    )
    return [row[0] for row in rows]


async def test_all_matches_are_labelled_in_one_statement(psql, books, things, ids, database):
    where = TransactionFilter.from_args([("asset", "BTC")])
    selection = replace(ALL, where=where)
    sent = []
    async with database.write.begin() as session:
        seen = await bulk.preview(session, ledger_id=books.ledger_id, selection=selection)
        connection = await session.connection()
        event.listen(
            connection.sync_connection, "before_cursor_execute", lambda *a: sent.append(a[2])
        )
        edited = await commands.label_transactions(
            session,
            ledger_id=books.ledger_id,
            selection=replace(selection, seen=seen),
            label_ids=(things.rent,),
        )
    assert (edited.matched, edited.changed) == (20, 20)
    assert await labelled(psql, things.rent) == ids[::2]
    assert [statement for statement in sent if "set_config" not in statement] == [sent[-1]]
    assert await psql.fetchval(
        "SELECT count(*) FROM revisions r JOIN changes c USING (ledger_id, tx)"
        " WHERE r.ledger_id = $1 AND c.table_name = 'transaction_labels'", books.ledger_id
    ) == 1  # fmt: skip


CHANGES = {
    "edited": "UPDATE transactions SET note = 'x' WHERE id = $1",
    "gone": "DELETE FROM transactions WHERE id = $1",
    "arrived": """INSERT INTO transactions
        (ledger_id, wallet_id, identity, group_key, occurred_at, type, asset, amount)
        SELECT ledger_id, wallet_id, 'new', 'new', occurred_at, type, asset, amount
        FROM transactions WHERE id = $1""",
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("verb", ["label", "unlabel", "annotate", "assign"])
async def test_another_set_than_was_seen_is_left_alone(  # noqa: PLR0917 - fixtures
    change, verb, psql, books, things, ids, database
):
    verbs = {
        "label": (commands.label_transactions, {"label_ids": (things.tax,)}),
        "unlabel": (commands.unlabel_transactions, {"label_ids": (things.tax,)}),
        "annotate": (commands.annotate_transactions, {"note": "n"}),
        "assign": (commands.assign_contact, {"contact_id": things.bob}),
    }
    command, arguments = verbs[verb]
    async with database.read() as session:
        seen = await bulk.preview(session, ledger_id=books.ledger_id, selection=ALL)
    await psql.execute(CHANGES[change], ids[3])
    version = await psql.fetchval("SELECT version FROM heads WHERE ledger_id = $1", books.ledger_id)
    async with database.write() as session:
        with pytest.raises(PreconditionFailed) as refusal:
            await command(
                session, ledger_id=books.ledger_id, selection=replace(ALL, seen=seen), **arguments
            )
        await session.commit()  # nothing was done, so even this leaves nothing
    count = await psql.fetchval(
        "SELECT count(*) FROM transactions WHERE ledger_id = $1", books.ledger_id
    )
    assert f"it is {count} now" in refusal.value.message
    assert version == await psql.fetchval(
        "SELECT version FROM heads WHERE ledger_id = $1", books.ledger_id
    )


async def test_a_digest_does_not_depend_on_the_order(books, ids, database):
    async with database.read() as session:
        seen = [
            await bulk.preview(session, ledger_id=books.ledger_id, selection=Selection(ids=some))
            for some in (tuple(ids), tuple(reversed(ids)), tuple(ids[1:]))
        ]
    assert seen[0] == seen[1] != seen[2]


async def test_a_group_and_chosen_rows_are_edited_together(psql, books, things, ids, database):
    arguments = {"ledger_id": books.ledger_id, "label_ids": (things.rent, things.tax)}
    async with database.write.begin() as session:
        group = Selection(group_key="3")
        edited = await commands.label_transactions(session, selection=group, **arguments)
        assert (edited.matched, edited.changed) == (2, 4)
        chosen = Selection(ids=(ids[6], ids[6], ids[9]))
        edited = await commands.label_transactions(session, selection=chosen, **arguments)
        assert (edited.matched, edited.changed) == (2, 2)
        edited = await commands.unlabel_transactions(session, selection=group, **arguments)
        assert (edited.matched, edited.changed) == (2, 4)
    assert await labelled(psql, things.tax) == [ids[9]]
    async with database.read() as session:
        rows = await repository.list_group(session, ledger_id=books.ledger_id, group_key="3")
    assert [row.id for row in rows] == ids[6:8]


@pytest.mark.usefixtures("ids")
async def test_a_note_and_a_contact_on_all_are_remembered_as_by_hand(psql, books, things, database):
    async with database.write.begin() as session:
        for _ in range(2):
            await commands.annotate_transactions(
                session, ledger_id=books.ledger_id, selection=ALL, note=" May \r\n"
            )
            await commands.assign_contact(
                session, ledger_id=books.ledger_id, selection=ALL, contact_id=things.bob
            )
    rows = await psql.fetch(
        "SELECT DISTINCT note, contact_id, hand_edited, version FROM transactions"
        " WHERE ledger_id = $1", books.ledger_id,
    )  # fmt: skip
    assert [tuple(row) for row in rows] == [("May", things.bob, ["note", "contact_id"], 3)]


async def test_an_edit_by_filter_changes_nothing_but_what_it_says(
    psql, books, things, ids, database
):
    """The values a filter compares with are named as columns are; none may be written."""
    row = await psql.fetchrow("SELECT * FROM transactions WHERE id = $1", ids[4])
    query = [("asset", "BTC"), ("type", "send"), ("status", "confirmed"), ("not.chain", "base"),
             ("wallet", str(things.wallet)), ("not.txid", "x"), ("from", "2024-01-01")]  # fmt: skip
    where = TransactionFilter.from_args(query)
    for selection in (replace(ALL, where=where), Selection(group_key="2")):
        async with database.write.begin() as session:
            for note in ("one", "two"):
                edited = await commands.annotate_transactions(
                    session, ledger_id=books.ledger_id, selection=selection, note=note
                )
                assert edited.changed
    after = await psql.fetchrow("SELECT * FROM transactions WHERE id = $1", ids[4])
    changed = {name for name in row.keys() if row[name] != after[name]}  # noqa: SIM118 - a Record
    assert changed == {"note", "hand_edited", "version"}


async def test_what_a_label_carries_follows_its_transaction(psql, things, ids):
    await psql.execute(
        "INSERT INTO transaction_labels (ledger_id, transaction_id, label_id, occurred_at)"
        " SELECT ledger_id, id, $2, occurred_at FROM transactions WHERE id = $1",
        ids[0],
        things.rent,
    )
    await psql.execute(
        "UPDATE transactions SET type = 'fee', asset = 'X', occurred_at = now() WHERE id = $1",
        ids[0],
    )
    assert await labelled(psql, things.rent) == [ids[0]]


async def test_nothing_of_another_ledger_is_touched(psql, books, ids, database):
    other = await make_books(psql)
    label = await psql.fetchval(
        "INSERT INTO labels (ledger_id, name) VALUES ($1, 'theirs') RETURNING id", other.ledger_id
    )
    for ledger, selection, wanted in (
        (other.ledger_id, Selection(ids=tuple(ids)), label),
        (other.ledger_id, Selection(group_key="3"), label),
        (books.ledger_id, ALL, label),
    ):
        async with database.write() as session:
            with pytest.raises(NotFound):
                await commands.label_transactions(
                    session, ledger_id=ledger, selection=selection, label_ids=(wanted,)
                )
    assert not await psql.fetchval(
        "SELECT count(*) FROM transaction_labels WHERE label_id = $1", label
    )
