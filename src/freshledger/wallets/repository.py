"""All SQL of wallets: their addresses, how they are used, and what they hold."""

from datetime import datetime
from decimal import Decimal

import msgspec
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by, insert
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger import named
from freshledger.chains import CHAINS, network_of, normalize_address_in, parse_chain
from freshledger.database import AnyRow, AnySelect
from freshledger.errors import Conflict, NotFound
from freshledger.merging import Seen
from freshledger.models import Transaction, Wallet, WalletAddress


class WalletAddressRow(msgspec.Struct, frozen=True):
    """An address as it is stored; without `chain` it is an exchange account's own name."""

    id: int
    chain: str | None
    address: str


class WalletRow(msgspec.Struct, frozen=True):
    """A wallet, its addresses, and the number and span (UTC) of its transactions."""

    id: int
    name: str
    note: str
    version: int
    addresses: tuple[WalletAddressRow, ...]
    transactions: int
    first_at: datetime | None
    last_at: datetime | None


class Balance(msgspec.Struct, frozen=True):
    """What a wallet holds of an asset: confirmed rows summed; `pending` stands apart."""

    asset: str
    contract: str | None
    balance: Decimal
    pending: Decimal
    transactions: int


async def list_wallets(session: AsyncSession, *, ledger_id: int) -> tuple[WalletRow, ...]:
    """Return the ledger's wallets by name."""
    statement = _wallets(ledger_id).order_by(func.lower(Wallet.name), Wallet.id)
    return tuple(_wallet(row) for row in await session.execute(statement))


async def get_wallet(session: AsyncSession, *, ledger_id: int, wallet_id: int) -> WalletRow:
    """Return a wallet; raises NotFound."""
    if 0 < wallet_id <= named.MAX_ID:
        statement = _wallets(ledger_id, wallet_id)
        row = (await session.execute(statement)).one_or_none()
        if row is not None:
            return _wallet(row)
    raise NotFound("there is no such wallet")


async def list_balances(
    session: AsyncSession, *, ledger_id: int, wallet_id: int
) -> tuple[Balance, ...]:
    """Return what the wallet holds, exact; what it holds nothing of comes last."""
    held = func.coalesce(func.sum(Transaction.amount).filter(Transaction.status == "confirmed"), 0)
    waits = func.coalesce(func.sum(Transaction.amount).filter(Transaction.status == "pending"), 0)
    statement = (
        select(Transaction.asset, Transaction.contract, held, waits, func.count())
        .where(Transaction.ledger_id == ledger_id, Transaction.wallet_id == wallet_id)
        .group_by(Transaction.asset, Transaction.contract)
        .order_by(held == 0, func.lower(Transaction.asset), Transaction.contract.nulls_first())
    )
    return tuple(Balance(*row) for row in await session.execute(statement))


async def insert_wallet(session: AsyncSession, *, ledger_id: int, name: str, note: str = "") -> int:
    """Make a wallet and return its id; raises Invalid or Conflict."""
    values = {"name": named.clean_name(name), "note": named.clean_note(note)}
    return await named.insert_named(session, Wallet, ledger_id=ledger_id, values=values)


async def update_wallet(
    session: AsyncSession,
    *,
    ledger_id: int,
    wallet_id: int,
    name: str | None = None,
    note: str | None = None,
    seen: Seen | None = None,
) -> None:
    """Rename or note; None leaves it. Raises Invalid, NotFound, Conflict, LostEdit."""
    await named.update_named(
        session,
        Wallet,
        ledger_id=ledger_id,
        row_id=wallet_id,
        seen=seen,
        values=named.named_values(name=name, note=note),
    )


async def delete_wallet(
    session: AsyncSession, *, ledger_id: int, wallet_id: int, seen: Seen | None = None
) -> None:
    """Delete a wallet with all its transactions; raises NotFound or LostEdit."""
    await named.delete_named(session, Wallet, ledger_id=ledger_id, row_id=wallet_id, seen=seen)


async def count_transactions(session: AsyncSession, *, ledger_id: int, wallet_id: int) -> int:
    """Return the number of the wallet's transactions, whatever their status."""
    statement = select(func.count()).where(
        Transaction.ledger_id == ledger_id, Transaction.wallet_id == wallet_id
    )
    return (await session.execute(statement)).scalar_one()


async def insert_wallet_address(
    session: AsyncSession, *, ledger_id: int, wallet_id: int, chain: str | None, address: str
) -> int:
    """Give the wallet an address and return its id.

    Raises Invalid, NotFound, or a Conflict that names the wallet which has it already.
    """
    slug = parse_chain(chain).slug if chain else None
    stored = normalize_address_in(network_of(slug), address)
    await named.hold_named(session, Wallet, ledger_id=ledger_id, row_id=wallet_id)
    values = {"ledger_id": ledger_id, "wallet_id": wallet_id, "chain": slug, "address": stored}
    statement = insert(WalletAddress).values(values).on_conflict_do_nothing()
    made = (await session.execute(statement.returning(WalletAddress.id))).scalar_one_or_none()
    if made is None:
        raise await _taken(session, ledger_id, wallet_id, slug, stored)
    return made


async def delete_wallet_address(
    session: AsyncSession, *, ledger_id: int, wallet_id: int, address_id: int
) -> None:
    """Take an address away from the wallet; its transactions stay. Raises NotFound."""
    if max(wallet_id, address_id) > named.MAX_ID:
        raise NotFound("this wallet has no such address")
    statement = delete(WalletAddress).where(
        WalletAddress.ledger_id == ledger_id,
        WalletAddress.wallet_id == wallet_id,
        WalletAddress.id == address_id,
    )
    if (await session.execute(statement.returning(WalletAddress.id))).first() is None:
        raise NotFound("this wallet has no such address")


async def _taken(
    session: AsyncSession, ledger_id: int, wallet_id: int, chain: str | None, address: str
) -> Conflict:
    query = (
        select(Wallet.id, Wallet.name)
        .join(
            WalletAddress,
            (WalletAddress.ledger_id == Wallet.ledger_id) & (WalletAddress.wallet_id == Wallet.id),
        )
        .where(
            WalletAddress.ledger_id == ledger_id,
            WalletAddress.address == address,
            WalletAddress.chain.is_not_distinct_from(chain),
        )
    )
    there = (await session.execute(query)).one_or_none()
    place = CHAINS[chain].name if chain else "no chain"
    if there is None or there.id == wallet_id:
        owner = "this wallet has it already"
    else:
        owner = f"the wallet “{there.name}” has it already"
    return Conflict(f"address: {owner} ({place})", field="address")


def _wallets(ledger_id: int, wallet_id: int | None = None) -> AnySelect:
    addresses = (
        select(
            func.jsonb_agg(
                aggregate_order_by(
                    func.jsonb_build_array(
                        WalletAddress.id, WalletAddress.chain, WalletAddress.address
                    ),
                    WalletAddress.chain.nulls_first(),
                    WalletAddress.id,
                )
            )
        )
        .where(WalletAddress.ledger_id == Wallet.ledger_id, WalletAddress.wallet_id == Wallet.id)
        .scalar_subquery()
    )
    used = select(
        Transaction.wallet_id,
        func.count().label("transactions"),
        func.min(Transaction.occurred_at).label("first_at"),
        func.max(Transaction.occurred_at).label("last_at"),
    ).where(Transaction.ledger_id == ledger_id)
    statement = select(Wallet.id, Wallet.name, Wallet.note, Wallet.version, addresses)
    where = [Wallet.ledger_id == ledger_id]
    if wallet_id is not None:
        used = used.where(Transaction.wallet_id == wallet_id)
        where.append(Wallet.id == wallet_id)
    uses = used.group_by(Transaction.wallet_id).subquery("uses")
    counted = (func.coalesce(uses.c.transactions, 0), uses.c.first_at, uses.c.last_at)
    return (
        statement.add_columns(*counted)
        .outerjoin_from(Wallet, uses, uses.c.wallet_id == Wallet.id)
        .where(*where)
    )


def _wallet(row: AnyRow) -> WalletRow:
    identifier, name, note, version, addresses, *used = row
    own = tuple(WalletAddressRow(*address) for address in addresses or ())
    return WalletRow(identifier, name, note, version, own, *used)
