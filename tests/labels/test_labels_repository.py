import asyncio
from datetime import UTC, datetime

import asyncpg
import pytest

from freshledger import named
from freshledger.errors import Conflict, Invalid, NotFound, PreconditionFailed
from freshledger.labels import commands, repository
from freshledger.merging import Seen
from freshledger.models import Label

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
async def write(database):
    async with database.write() as session:
        yield session


async def make(database, books, *names):
    async with database.write.begin() as session:
        return [
            await repository.insert_label(session, ledger_id=books.ledger_id, name=name)
            for name in names
        ]


async def movement(psql, books, n=0):
    wallet = await psql.fetchval(
        "INSERT INTO wallets (ledger_id, name) VALUES ($1, $2)"
        " ON CONFLICT (ledger_id, lower(name)) DO UPDATE SET note = '' RETURNING id",
        books.ledger_id,
        "Cold",
    )
    return await psql.fetchval(
        "INSERT INTO transactions (ledger_id, wallet_id, identity, group_key, occurred_at, type,"
        " asset, amount) VALUES ($1, $2, $3, $3, $4, 'receive', 'BTC', 1) RETURNING id",
        books.ledger_id,
        wallet,
        f"row {n}",
        AT,
    )


async def link(psql, books, transaction, label):
    await psql.execute(
        "INSERT INTO transaction_labels VALUES ($1, $2, $3, $4)",
        books.ledger_id,
        transaction,
        label,
        AT,
    )


async def test_labels_are_listed_with_their_uses(write, psql, books, database):
    rent, tax = await make(database, books, "rent", "Tax")
    await link(psql, books, await movement(psql, books), tax)
    labels = await repository.list_labels(write, ledger_id=books.ledger_id)
    assert [(row.id, row.name, row.transactions) for row in labels] == [
        (rent, "rent", 0),
        (tax, "Tax", 1),
    ]
    assert labels[1].last_used_at == AT
    found = await repository.list_labels(write, ledger_id=books.ledger_id, q="TA")
    assert [row.name for row in found] == ["Tax"]
    assert await repository.list_labels(write, ledger_id=books.ledger_id, q="%") == ()


async def test_names_are_one_whatever_their_case(write, books, database):
    (rent,) = await make(database, books, "Rent")
    with pytest.raises(Conflict, match="name: there is already a label named “Rent”"):
        await repository.insert_label(write, ledger_id=books.ledger_id, name=" rENT ")
    await repository.update_label(write, ledger_id=books.ledger_id, label_id=rent, name="RENT")
    other = await repository.insert_label(write, ledger_id=books.ledger_id, name="Other")
    with pytest.raises(Conflict, match="“RENT”"):
        await repository.update_label(write, ledger_id=books.ledger_id, label_id=other, name="rent")
    label = await repository.get_label(write, ledger_id=books.ledger_id, label_id=other)
    assert label.name == "Other"


@pytest.mark.parametrize("name", ["", "  \t ", "x" * 101, "\u0000"])
async def test_names_that_are_none(write, books, name):
    with pytest.raises(Invalid) as error:
        await repository.insert_label(write, ledger_id=books.ledger_id, name=name)
    assert error.value.field == "name"


async def test_an_edit_says_what_it_has_seen(write, books, database):
    (rent,) = await make(database, books, "Rent")
    key = {"ledger_id": books.ledger_id, "label_id": rent}
    await repository.update_label(write, **key, color="red", seen=Seen(1))
    with pytest.raises(PreconditionFailed):
        await repository.update_label(write, **key, color="blue", seen=Seen(1))
    with pytest.raises(PreconditionFailed):
        await repository.delete_label(write, **key, seen=Seen(1))
    label = await repository.get_label(write, **key)
    assert (label.color, label.version) == ("red", 2)
    with pytest.raises(Invalid, match="color"):
        await repository.update_label(write, **key, color="mauve")


@pytest.mark.parametrize("label_id", [0, -1, 1, 2**63, 10**30])
async def test_no_such_label(write, books, label_id):
    key = {"ledger_id": books.ledger_id, "label_id": label_id}
    with pytest.raises(NotFound):
        await repository.get_label(write, **key)
    with pytest.raises(NotFound):
        await repository.update_label(write, **key, name="x")
    with pytest.raises(NotFound):
        await commands.delete_label(write, **key, transactions=0)


async def test_merging_moves_links(write, psql, books, database):
    rent, home = await make(database, books, "rent", "home")
    both, one = await movement(psql, books, 1), await movement(psql, books, 2)
    for transaction, label in ((both, rent), (both, home), (one, rent)):
        await link(psql, books, transaction, label)
    await commands.merge_labels(write, ledger_id=books.ledger_id, gone=rent, kept=home)
    labels = await repository.list_labels(write, ledger_id=books.ledger_id)
    assert [(row.name, row.transactions) for row in labels] == [("home", 2)]
    with pytest.raises(Invalid, match="into"):
        await commands.merge_labels(write, ledger_id=books.ledger_id, gone=home, kept=home)


async def test_deleting_counts_again(write, psql, books, database):
    (rent,) = await make(database, books, "rent")
    await link(psql, books, await movement(psql, books), rent)
    key = {"ledger_id": books.ledger_id, "label_id": rent}
    with pytest.raises(PreconditionFailed, match="on 1 transactions now, not on 0"):
        await commands.delete_label(write, **key, transactions=0)
    await commands.delete_label(write, **key, transactions=1)
    assert await repository.list_labels(write, ledger_id=books.ledger_id) == ()


async def test_ensuring_makes_what_is_missing_once(write, books, database):
    (rent,) = await make(database, books, "Rent")
    made = await repository.ensure_labels(
        write, ledger_id=books.ledger_id, names=["rent", "New", "new", " New "]
    )
    assert made["rent"] == rent
    assert made["New"] == made["new"] == made[" New "]
    assert await repository.ensure_labels(write, ledger_id=books.ledger_id, names=[]) == {}
    labels = await repository.list_labels(write, ledger_id=books.ledger_id)
    assert [row.name for row in labels] == ["New", "Rent"]


async def test_names_to_choose_from(write, books, database):
    await make(database, books, "current rent", "Rent", "tax")
    found = await repository.find_labels(write, ledger_id=books.ledger_id, q="rent")
    assert [name for _, name, _ in found] == ["Rent", "current rent"]


async def test_crossing_merges_lose_nothing(database, psql, books):
    """A into B and B into A at once: one of them finds its label gone."""
    for n in range(5):
        a, b = await make(database, books, f"a{n}", f"b{n}")
        transaction = await movement(psql, books, n)
        await link(psql, books, transaction, a)

        async def merge(gone, kept):
            async with database.write.begin() as session:
                await commands.merge_labels(
                    session, ledger_id=books.ledger_id, gone=gone, kept=kept
                )

        ends = await asyncio.gather(merge(a, b), merge(b, a), return_exceptions=True)
        assert sorted(type(end).__name__ for end in ends) == ["NoneType", "NotFound"]
        links = await psql.fetch(
            "SELECT label_id FROM transaction_labels WHERE transaction_id = $1", transaction
        )
        assert len(links) == 1


async def test_many_importers_make_the_same_labels_at_once(database, books):
    async def ensure(names):
        async with database.write.begin() as session:
            return await repository.ensure_labels(session, ledger_id=books.ledger_id, names=names)

    names = [f"label {n}" for n in range(20)]
    made = await asyncio.gather(*(ensure(names[:: (-1) ** n]) for n in range(6)))
    assert all(each == made[0] for each in made)


async def test_the_label_that_stays_can_be_put_on_while_others_merge_into_it(
    database, psql, books, database_url
):
    """Else who puts it on and who merges could each wait for the other's row."""
    gone, kept = await make(database, books, "gone", "kept")
    transaction = await movement(psql, books)
    await link(psql, books, transaction, gone)
    other = await asyncpg.connect(database_url)
    async with database.write.begin() as session:
        await named.lock_pair(session, Label, ledger_id=books.ledger_id, gone=gone, kept=kept)
        async with asyncio.timeout(10):
            await link(psql, books, transaction, kept)
        lost = asyncio.create_task(link(other, books, await movement(psql, books, 1), gone))
        await repository.move_links(session, ledger_id=books.ledger_id, gone=gone, kept=kept)
        await repository.delete_label(session, ledger_id=books.ledger_id, label_id=gone)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await lost
    await other.close()
    links = await psql.fetch(
        "SELECT label_id FROM transaction_labels WHERE transaction_id = $1", transaction
    )
    assert [row["label_id"] for row in links] == [kept]
