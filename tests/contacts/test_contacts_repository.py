import asyncio
from datetime import UTC, datetime, timedelta
from itertools import chain as chained

import pytest

from freshledger.contacts import addresses, commands, repository, suggestions
from freshledger.errors import Conflict, Invalid, NotFound, PreconditionFailed
from freshledger.paging import decode_cursor

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)
EVM = "0x52908400098527886E0F7030069857D2E4169EE7"
OTHER = "0xde709f2102306220921060314715629080e2fb77"
BTC = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"


@pytest.fixture
async def write(database):
    async with database.write() as session:
        yield session


@pytest.fixture
def ledger(books):
    return {"ledger_id": books.ledger_id}


@pytest.fixture
def move(psql, books):
    """Insert a movement with a counterparty; returns its id."""
    made = []

    async def insert(counterparty, *, chain="ethereum", contact=None, amount=1):
        if not made:
            made.append(
                await psql.fetchval(
                    "INSERT INTO wallets (ledger_id, name) VALUES ($1, 'Cold') RETURNING id",
                    books.ledger_id,
                )
            )
        made.append(None)
        return await psql.fetchval(
            "INSERT INTO transactions (ledger_id, wallet_id, identity, group_key, occurred_at,"
            " type, asset, amount, chain, counterparty, contact_id)"
            " VALUES ($1, $2, $3, $3, $4, 'send', 'ETH', $5, $6, $7, $8) RETURNING id",
            books.ledger_id,
            made[0],
            f"row {len(made)}",
            AT + timedelta(hours=len(made)),
            amount,
            chain,
            counterparty,
            contact,
        )

    return insert


async def add(session, ledger, contact_id, address, network="evm"):
    return await addresses.insert_contact_address(
        session, **ledger, contact_id=contact_id, network=network, address=address
    )


async def test_a_second_address_on_the_same_network_replaces_nothing(write, ledger):
    ann = await repository.insert_contact(write, **ledger, name="Ann")
    await add(write, ledger, ann, EVM)
    await add(write, ledger, ann, OTHER)
    await add(write, ledger, ann, BTC.upper(), "bitcoin")
    contact = await repository.get_contact(write, **ledger, contact_id=ann)
    assert [(at.network, at.address) for at in contact.addresses] == [
        ("bitcoin", BTC),
        ("evm", EVM.lower()),
        ("evm", OTHER),
    ]


async def test_an_address_belongs_to_one_contact(write, ledger):
    ann = await repository.insert_contact(write, **ledger, name="Ann")
    bob = await repository.insert_contact(write, **ledger, name="Bob")
    await add(write, ledger, ann, EVM)
    with pytest.raises(Conflict, match=r"the contact “Ann” has it already \(All EVM chains\)"):
        await add(write, ledger, bob, EVM.lower())
    with pytest.raises(Conflict, match="this contact has it already"):
        await add(write, ledger, ann, EVM)


@pytest.mark.parametrize(
    ("network", "address", "field"),
    [
        ("mars", EVM, "network"),
        ("", EVM, "network"),
        ("evm", BTC, "address"),
        ("evm", "0x12", "address"),
        ("bitcoin", EVM, "address"),
        ("bitcoin", "two words", "address"),
        ("bitcoin", "", "address"),
        ("bitcoin", "x" * 129, "address"),
    ],
)
async def test_what_is_no_address_there(write, ledger, network, address, field):
    ann = await repository.insert_contact(write, **ledger, name="Ann")
    with pytest.raises(Invalid) as error:
        await add(write, ledger, ann, address, network)
    assert error.value.field == field


async def test_an_address_counts_for_past_and_future(write, ledger, move):
    """Nothing is copied: the transactions before and after the address have the contact."""
    await move(EVM.lower())
    await move(EVM.lower(), chain="polygon")
    ann = await repository.insert_contact(write, **ledger, name="Ann")
    await add(write, ledger, ann, EVM)
    assert (await repository.get_contact(write, **ledger, contact_id=ann)).transactions == 2
    await move(EVM.lower(), chain="base")
    await move(EVM.lower(), chain="bitcoin")  # another network: another owner
    contact = await repository.get_contact(write, **ledger, contact_id=ann)
    assert contact.transactions == 3
    assert contact.last_at == AT + timedelta(hours=4)


async def test_a_contact_set_by_hand_wins(write, database, ledger, move):
    async with database.write.begin() as session:
        ann = await repository.insert_contact(session, **ledger, name="Ann")
        bob = await repository.insert_contact(session, **ledger, name="Bob")
        await add(session, ledger, ann, EVM)
    await move(EVM.lower(), contact=bob)
    await move(None, contact=bob)
    counts = {
        row.name: row.transactions for row in (await repository.list_contacts(write, **ledger)).rows
    }
    assert counts == {"Ann": 0, "Bob": 2}


async def test_uses_are_counted_up_to_a_bound(write, database, ledger, move, monkeypatch):
    monkeypatch.setattr(repository, "COUNTED", 2)
    async with database.write.begin() as session:
        ann = await repository.insert_contact(session, **ledger, name="Ann")
        await add(session, ledger, ann, EVM)
    for _ in range(5):
        await move(EVM.lower())
    assert (await repository.get_contact(write, **ledger, contact_id=ann)).transactions == 3


async def test_pages_of_contacts_go_both_ways(write, ledger):
    for n in range(7):
        await repository.insert_contact(write, **ledger, name=f"Contact {'ab'[n % 2]} {n}")
    names, cursor = [], None
    page = await repository.list_contacts(write, **ledger, limit=3)
    while True:
        names.append([row.name for row in page.rows])
        if not page.next:
            break
        cursor = decode_cursor(page.next, scope=repository.scope(""), columns=2)
        page = await repository.list_contacts(write, **ledger, limit=3, cursor=cursor)
    assert [len(part) for part in names] == [3, 3, 1]
    every = list(chained.from_iterable(names))
    assert every == sorted(every)
    cursor = decode_cursor(page.previous, scope=repository.scope(""), columns=2)
    before = await repository.list_contacts(write, **ledger, limit=3, cursor=cursor)
    assert [row.name for row in before.rows] == names[1]
    assert before.next
    assert before.previous
    last = decode_cursor(page.last, scope=repository.scope(""), columns=2)
    end = await repository.list_contacts(write, **ledger, limit=3, cursor=last)
    assert [row.name for row in end.rows] == every[-3:]
    assert end.next is None


async def test_contacts_are_found_by_name_and_address(write, ledger):
    ann = await repository.insert_contact(write, **ledger, name="Ann_100%")
    await repository.insert_contact(write, **ledger, name="Bob")
    await add(write, ledger, ann, EVM)
    for q in ("ann", "0x529084", "100%", "n_1"):
        page = await repository.list_contacts(write, **ledger, q=q)
        assert [row.name for row in page.rows] == ["Ann_100%"], q
    assert (await repository.list_contacts(write, **ledger, q="100_")).rows == ()


async def test_merging_moves_addresses_transactions_and_note(write, database, ledger, move, psql):
    async with database.write.begin() as session:
        ann = await repository.insert_contact(session, **ledger, name="Ann", note="old phone")
        bob = await repository.insert_contact(session, **ledger, name="Anna", note="friend")
        await add(session, ledger, ann, EVM)
        await add(session, ledger, bob, OTHER)
    tied = await move(None, contact=ann)
    await commands.merge_contacts(write, **ledger, gone=ann, kept=bob)
    contact = await repository.get_contact(write, **ledger, contact_id=bob)
    assert {at.address for at in contact.addresses} == {EVM.lower(), OTHER}
    assert contact.note == "friend\nold phone"
    assert contact.transactions == 1
    with pytest.raises(NotFound):
        await repository.get_contact(write, **ledger, contact_id=ann)
    await write.commit()
    assert await psql.fetchval("SELECT contact_id FROM transactions WHERE id = $1", tied) == bob


async def test_crossing_merges_lose_nothing(database, ledger, move, psql):
    for n in range(5):
        async with database.write.begin() as session:
            pair = [
                await repository.insert_contact(session, **ledger, name=f"{side}{n}")
                for side in "ab"
            ]
        tied = await move(None, contact=pair[0])

        async def merge(gone, kept):
            async with database.write.begin() as session:
                await commands.merge_contacts(session, **ledger, gone=gone, kept=kept)

        ends = await asyncio.gather(merge(*pair), merge(*pair[::-1]), return_exceptions=True)
        assert sorted(type(end).__name__ for end in ends) == ["NoneType", "NotFound"]
        kept = await psql.fetchval("SELECT contact_id FROM transactions WHERE id = $1", tied)
        assert kept in pair


async def test_deleting_counts_again_and_keeps_transactions(write, database, ledger, move, psql):
    async with database.write.begin() as session:
        ann = await repository.insert_contact(session, **ledger, name="Ann")
    tied = await move(None, contact=ann)
    with pytest.raises(PreconditionFailed):
        await commands.delete_contact(write, **ledger, contact_id=ann, transactions=0)
    await commands.delete_contact(write, **ledger, contact_id=ann, transactions=1)
    await write.commit()
    row = await psql.fetchrow("SELECT contact_id FROM transactions WHERE id = $1", tied)
    assert row["contact_id"] is None


async def test_frequent_counterparties_are_suggested(write, database, ledger, move, psql, books):
    for _ in range(3):
        await move(EVM.lower())
        await move(OTHER)
        await move("0x" + "9" * 40, amount=0)
        await move("0x" + "8" * 40)
        await move(BTC, chain="bitcoin")
    await move("0x" + "7" * 40)
    await psql.execute(
        "INSERT INTO wallet_addresses (ledger_id, wallet_id, chain, address)"
        " SELECT ledger_id, id, 'ethereum', $2 FROM wallets WHERE ledger_id = $1",
        books.ledger_id,
        "0x" + "8" * 40,
    )
    async with database.write.begin() as session:
        ann = await repository.insert_contact(session, **ledger, name="Ann")
        await add(session, ledger, ann, EVM)
    met = await suggestions.list_suggestions(write, **ledger)
    assert {(one.network, one.address, one.transactions) for one in met} == {
        ("evm", OTHER, 3),
        ("bitcoin", BTC, 3),
    }


async def test_another_ledgers_contact_is_not_found(write, database, ledger, psql):
    async with database.write.begin() as session:
        ann = await repository.insert_contact(session, **ledger, name="Ann")
    foreign = {
        "ledger_id": await psql.fetchval("INSERT INTO ledgers (name) VALUES ('B') RETURNING id")
    }
    with pytest.raises(NotFound):
        await repository.get_contact(write, **foreign, contact_id=ann)
    with pytest.raises(NotFound):
        await add(write, foreign, ann, EVM)
    with pytest.raises(NotFound):
        await commands.delete_contact(write, **foreign, contact_id=ann)
    bob = await repository.insert_contact(write, **foreign, name="Ann")
    with pytest.raises(NotFound):
        await commands.merge_contacts(write, **foreign, gone=bob, kept=ann)
