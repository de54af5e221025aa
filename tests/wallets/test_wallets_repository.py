from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text

from freshledger.errors import Conflict, Invalid, NotFound, PreconditionFailed
from freshledger.merging import Seen
from freshledger.wallets import commands, repository

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)
EVM = "0x52908400098527886E0F7030069857D2E4169EE7"
BTC = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"


@pytest.fixture
async def write(database):
    async with database.write() as session:
        yield session


@pytest.fixture
def ledger(books):
    return {"ledger_id": books.ledger_id}


@pytest.fixture
async def cold(database, ledger):
    async with database.write.begin() as session:
        return await repository.insert_wallet(session, **ledger, name="Cold", note="in the safe")


@pytest.fixture
def move(psql, books, cold):
    made = []

    async def insert(amount, asset="BTC", *, contract=None, status="confirmed"):
        made.append(None)
        await psql.execute(
            "INSERT INTO transactions (ledger_id, wallet_id, identity, group_key, occurred_at,"
            " type, status, asset, contract, amount)"
            " VALUES ($1, $2, $3, $3, $4, 'receive', $5, $6, $7, $8)",
            books.ledger_id,
            cold,
            f"row {len(made)}",
            AT + timedelta(hours=len(made)),
            status,
            asset,
            contract,
            Decimal(amount),
        )

    return insert


async def test_wallets_show_their_addresses_and_uses(write, ledger, cold, move):
    hot = await repository.insert_wallet(write, **ledger, name="alpha")
    for chain, address in (
        ("ethereum", EVM),
        ("137", EVM),
        (None, "me@exchange"),
        ("BITCOIN", BTC),
    ):
        await repository.insert_wallet_address(
            write, **ledger, wallet_id=cold, chain=chain, address=address
        )
    await move("1")
    await move("2")
    first, second = await repository.list_wallets(write, **ledger)
    assert (first.id, first.transactions, first.addresses, first.last_at) == (hot, 0, (), None)
    assert {(at.chain, at.address) for at in second.addresses} == {
        ("ethereum", EVM.lower()),
        ("polygon", EVM.lower()),
        (None, "me@exchange"),
        ("bitcoin", BTC),
    }
    assert (second.transactions, second.note) == (2, "in the safe")
    assert (second.first_at, second.last_at) == (AT + timedelta(hours=1), AT + timedelta(hours=2))
    assert await repository.get_wallet(write, **ledger, wallet_id=cold) == second


async def test_balances_are_exact_and_of_confirmed_rows(write, ledger, cold, move):
    for amount in ("0.1", "0.2", "1e-30", "123456789012345678901234567890"):
        await move(amount)
    await move("5", status="pending")
    await move("0", status="failed")
    await move("7", "USDC", contract="0xa")
    await move("-7", "USDC", contract="0xa")
    await move("3", "USDC", contract="0xb")
    held = await repository.list_balances(write, **ledger, wallet_id=cold)
    assert [(one.asset, one.contract, one.balance, one.pending) for one in held] == [
        ("BTC", None, Decimal("123456789012345678901234567890.300000000000000000000000000001"), 5),
        ("USDC", "0xb", 3, 0),
        ("USDC", "0xa", 0, 0),
    ]


async def test_an_address_belongs_to_one_wallet(write, ledger, cold):
    hot = await repository.insert_wallet(write, **ledger, name="Hot")
    for chain, address, place in (("ethereum", EVM, "Ethereum"), (None, "me", "no chain")):
        key = {**ledger, "chain": chain, "address": address}
        made = await repository.insert_wallet_address(write, **key, wallet_id=cold)
        with pytest.raises(Conflict, match=f"“Cold” has it already \\({place}\\)") as error:
            await repository.insert_wallet_address(write, **key, wallet_id=hot)
        assert error.value.field == "address"
        with pytest.raises(Conflict, match="this wallet has it already"):
            await repository.insert_wallet_address(write, **key, wallet_id=cold)
        with pytest.raises(NotFound):
            await repository.delete_wallet_address(write, **ledger, wallet_id=hot, address_id=made)
        await repository.delete_wallet_address(write, **ledger, wallet_id=cold, address_id=made)
        await repository.insert_wallet_address(write, **key, wallet_id=hot)


@pytest.mark.parametrize(
    ("chain", "address", "field"),
    [
        ("mars", EVM, "chain"),
        ("ethereum", BTC, "address"),
        ("bitcoin", EVM, "address"),
        (None, "", "address"),
    ],
)
async def test_what_is_no_address_there(write, ledger, cold, chain, address, field):
    with pytest.raises(Invalid) as error:
        await repository.insert_wallet_address(
            write, **ledger, wallet_id=cold, chain=chain, address=address
        )
    assert error.value.field == field


async def test_names_and_notes(write, ledger, cold):
    key = {**ledger, "wallet_id": cold}
    with pytest.raises(Conflict, match="already a wallet named “Cold”"):
        await repository.insert_wallet(write, **ledger, name="COLD")
    await repository.update_wallet(write, **key, note="two\r\nlines ", seen=Seen(1))
    wallet = await repository.get_wallet(write, **key)
    assert (wallet.name, wallet.note, wallet.version) == ("Cold", "two\nlines", 2)
    with pytest.raises(PreconditionFailed):
        await repository.update_wallet(write, **key, name="X", seen=Seen(1))
    with pytest.raises(Invalid, match="note"):
        await repository.update_wallet(write, **key, note="x" * 2001)
    with pytest.raises(Invalid, match="nothing to change"):
        await repository.update_wallet(write, **key)


async def test_deleting_takes_the_transactions_along(write, ledger, cold, move, psql, books):
    await move("1")
    key = {**ledger, "wallet_id": cold}
    with pytest.raises(PreconditionFailed, match="has 1, not 0"):
        await commands.delete_wallet(write, **key, transactions=0)
    await commands.delete_wallet(write, **key, transactions=1)
    assert await write.scalar(text("SHOW statement_timeout")) == "0"
    await write.commit()
    assert await write.scalar(text("SHOW statement_timeout")) == "30s"
    left = await psql.fetchval(
        "SELECT count(*) FROM transactions WHERE ledger_id = $1", books.ledger_id
    )
    assert left == 0


async def test_another_ledgers_wallet_is_not_found(write, cold, psql):
    foreign = {
        "ledger_id": await psql.fetchval("INSERT INTO ledgers (name) VALUES ('B') RETURNING id"),
        "wallet_id": cold,
    }
    with pytest.raises(NotFound):
        await repository.get_wallet(write, **foreign)
    with pytest.raises(NotFound):
        await repository.insert_wallet_address(write, **foreign, chain=None, address="me")
    with pytest.raises(NotFound):
        await commands.delete_wallet(write, **foreign)
    assert await repository.list_balances(write, **foreign) == ()
