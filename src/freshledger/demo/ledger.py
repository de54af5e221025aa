"""Writes the demo's events into a ledger of their own."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger.chains import CHAINS
from freshledger.demo.events import Event, Life
from freshledger.demo.people import CONTACTS, LABELS, WALLETS, address
from freshledger.models import (
    Contact,
    ContactAddress,
    Label,
    Ledger,
    Transaction,
    TransactionLabel,
    Wallet,
    WalletAddress,
)

NAME = "Demo"
BATCH = 1000
UNIT_PRICES = {"BTC": "61000", "ETH": "2900", "POL": "0.55", "USDC": "1", "EUR": "1.08"}
"""US dollars; the demo's fiat values are only examples and do not follow the market."""

Addresses = dict[tuple[str, str], str]
Progress = Callable[[int, int], None]


async def make_demo(session: AsyncSession, *, until: datetime, progress: Progress) -> int:
    """Make the ledger Demo without members; returns its id. `progress` gets done and total.

    The same rows for the same `until` (UTC), down to every amount and address.
    """
    random = Random(1976)  # noqa: S311 - a demo, no secret
    made = await session.execute(insert(Ledger).values(name=NAME).returning(Ledger.id))
    ledger_id = made.scalar_one()
    wallets, own = await _insert_wallets(session, ledger_id, random)
    contacts = await _insert_contacts(session, ledger_id, random)
    labels = await _insert_labels(session, ledger_id)
    events = sorted(Life(until, contacts).events(), key=lambda event: event.at)
    for start in range(0, len(events), BATCH):
        batch = events[start : start + BATCH]
        rows = list(_rows(ledger_id, batch, start, wallets, own))
        ids = await session.execute(
            insert(Transaction).returning(Transaction.id, sort_by_parameter_order=True), rows
        )
        links = _links(ledger_id, batch, rows, list(ids.scalars()), labels)
        await session.execute(insert(TransactionLabel), list(links))
        progress(min(start + BATCH, len(events)), len(events))
    return ledger_id


async def has_demo(session: AsyncSession) -> bool:
    """Tell whether the demo was made before."""
    return await session.scalar(select(Ledger.id).where(Ledger.name == NAME).limit(1)) is not None


async def _insert_named(
    session: AsyncSession, model: type[Wallet | Contact | Label], rows: list[dict[str, Any]]
) -> dict[str, int]:
    found = await session.execute(insert(model).returning(model.name, model.id), rows)
    return dict(found.all())


async def _insert_wallets(
    session: AsyncSession, ledger_id: int, random: Random
) -> tuple[dict[str, int], Addresses]:
    rows = [{"ledger_id": ledger_id, "name": w.name, "note": w.note} for w in WALLETS]
    ids = await _insert_named(session, Wallet, rows)
    own: Addresses = {}
    for wallet in WALLETS:
        by_network: dict[str, str] = {}
        for chain in wallet.chains:
            network = CHAINS[chain].network
            by_network.setdefault(network, address(random, network))
            own[wallet.name, chain] = by_network[network]
    addresses = [
        {"ledger_id": ledger_id, "wallet_id": ids[name], "chain": chain, "address": text}
        for (name, chain), text in own.items()
    ]
    await session.execute(insert(WalletAddress), addresses)
    return ids, own


async def _insert_contacts(session: AsyncSession, ledger_id: int, random: Random) -> Addresses:
    rows = [{"ledger_id": ledger_id, "name": c.name, "note": c.note} for c in CONTACTS]
    ids = await _insert_named(session, Contact, rows)
    made = {
        (contact.name, network): address(random, network)
        for contact in CONTACTS
        for network in contact.networks
    }
    addresses = [
        {"ledger_id": ledger_id, "contact_id": ids[name], "network": network, "address": text}
        for (name, network), text in made.items()
    ]
    await session.execute(insert(ContactAddress), addresses)
    return made


async def _insert_labels(session: AsyncSession, ledger_id: int) -> dict[str, int]:
    rows = [{"ledger_id": ledger_id, "name": n, "color": color} for n, color in LABELS.items()]
    return await _insert_named(session, Label, rows)


def _rows(
    ledger_id: int, events: Iterable[Event], start: int, wallets: dict[str, int], own: Addresses
) -> Iterator[dict[str, Any]]:
    """Yield a row for each movement of the events, all with the same columns."""
    for number, event in enumerate(events, start):
        for place, leg in enumerate(event.legs):
            price = UNIT_PRICES.get(leg.asset)
            yield {
                "ledger_id": ledger_id,
                "wallet_id": wallets[leg.wallet],
                "own_address": own.get((leg.wallet, event.chain or "")),
                "chain": event.chain,
                "txid": event.txid,
                "group_key": event.txid or f"demo:{number}",
                "identity": f"demo:{number}:{place}",
                "occurred_at": event.at,
                "type": leg.type,
                "status": leg.status,
                "asset": leg.asset,
                "contract": leg.contract,
                "amount": leg.amount,
                "counterparty": leg.counterparty,
                "fiat_value": round(leg.amount * Decimal(price), 2) if price else None,
                "fiat_currency": "USD" if price else None,
                "note": event.note if place == 0 else "",
            }


def _links(
    ledger_id: int,
    events: Iterable[Event],
    rows: list[dict[str, Any]],
    ids: list[int],
    labels: dict[str, int],
) -> Iterator[dict[str, Any]]:
    """Yield a link for each label of an event to each of its movements."""
    places = iter(range(len(rows)))
    for event in events:
        for _leg in event.legs:
            place = next(places)
            for name in event.labels:
                yield {
                    "ledger_id": ledger_id,
                    "transaction_id": ids[place],
                    "label_id": labels[name],
                    "occurred_at": rows[place]["occurred_at"],
                }
