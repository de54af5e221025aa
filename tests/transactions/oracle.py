"""A small random ledger, and a naive reading of the filters to hold the real one against."""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg

from books import Books, make_books

ALICE, BOB, CAROL = ("0x" + digit * 40 for digit in "abc")
COIN = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"
TOKEN = "0x" + "d1" * 20
COUNTERPARTIES = (None, ALICE, BOB, CAROL, COIN, "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy")
CHAINS = (None, "ethereum", "base", "bitcoin", "litecoin")
NOTES = ("", "", "Rent for May", "coffee, with Ann", "salary may", "tax return 2023")
TYPES = ("receive", "send", "fee", "trade")
STATUSES = ("confirmed", "confirmed", "pending", "failed")
START = datetime(2024, 3, 30, tzinfo=UTC)


@dataclass
class Small:
    """The ledger's rows as plain dicts, with what their names and contacts are."""

    books: Books
    rows: list[dict[str, Any]]
    wallets: list[int]
    labels: dict[int, str]
    contacts: dict[int, str]
    links: dict[int, set[int]] = field(default_factory=dict)

    @property
    def ledger_id(self) -> int:
        return self.books.ledger_id


async def make_small(connection: asyncpg.Connection, *, rows: int = 150, seed: int = 1) -> Small:
    """Make a ledger of random rows with many ties."""
    chance = random.Random(seed)
    books = await make_books(connection)
    ledger = books.ledger_id

    async def named(table: str, names: tuple[str, ...]) -> dict[int, str]:
        query = f"INSERT INTO {table} (ledger_id, name) VALUES ($1, $2) RETURNING id"
        return {await connection.fetchval(query, ledger, name): name for name in names}

    wallets = list(await named("wallets", ("Cold", "Hot", "Exchange")))
    labels = await named("labels", ("Rent", "coffee shop", "100%_sure", "unused"))
    contacts = await named("contacts", ("Ann Coffee", "Bob", "Carol", "Dan"))
    ann, bob, carol, _ = contacts
    for contact, network, address in (
        (ann, "evm", ALICE), (ann, "bitcoin", COIN), (bob, "evm", BOB), (carol, "bitcoin", BOB),
    ):  # fmt: skip
        await connection.execute(
            "INSERT INTO contact_addresses (ledger_id, contact_id, network, address)"
            " VALUES ($1, $2, $3, $4)", ledger, contact, network, address,
        )  # fmt: skip
    small = Small(books, [], wallets, labels, contacts)
    for n in range(rows):
        small.rows.append(await _insert(connection, small, n, chance))
    await _link(connection, small, chance)
    known = {(r["network"], r["address"]): r["contact_id"] for r in await connection.fetch(
        "SELECT network, address, contact_id FROM contact_addresses WHERE ledger_id = $1", ledger
    )}  # fmt: skip
    for row in small.rows:
        row["contact"] = row["contact_id"] or known.get((row["network"], row["counterparty"]))
        row["labels"] = small.links[row["id"]]
    return small


async def _insert(
    connection: asyncpg.Connection, small: Small, n: int, chance: random.Random
) -> dict[str, Any]:
    status = chance.choice(STATUSES)
    amount = chance.choice((Decimal(5), Decimal("-5.0"), Decimal("-0.123456789012345678901234567891"),
                            Decimal("12345678901234567890.000000000000000001"), Decimal(n)))  # fmt: skip
    asset, contract = chance.choice((("BTC", None), ("ETH", None), ("USDC", TOKEN), ("USDC", None)))
    values = {
        "ledger_id": small.ledger_id,
        "wallet_id": chance.choice(small.wallets),
        "own_address": chance.choice((None, ALICE, CAROL)),
        "chain": chance.choice(CHAINS),
        "txid": chance.choice((None, f"{n:064x}", f"feed{n // 2:060x}")),
        "group_key": f"group {n // 3}",
        "identity": f"row {n}",
        "occurred_at": START
        + timedelta(days=chance.choice((0, 0, 0, -400, -40, 45)), hours=chance.randrange(96)),
        "type": chance.choice(TYPES),
        "status": status,
        "asset": asset,
        "contract": contract,
        "amount": Decimal(0) if status == "failed" else amount,
        "counterparty": chance.choice(COUNTERPARTIES),
        "contact_id": chance.choice((None, None, None, *small.contacts)),
        "note": chance.choice(NOTES),
    }
    marks = ", ".join(f"${place + 1}" for place in range(len(values)))
    query = f"INSERT INTO transactions ({', '.join(values)}) VALUES ({marks}) RETURNING *"
    return dict(await connection.fetchrow(query, *values.values()))


async def _link(connection: asyncpg.Connection, small: Small, chance: random.Random) -> None:
    usable = list(small.labels)[:3]
    for row in small.rows:
        small.links[row["id"]] = {label for label in usable if chance.random() < 0.3}
    await connection.executemany(
        "INSERT INTO transaction_labels (ledger_id, transaction_id, label_id, occurred_at)"
        " VALUES ($1, $2, $3, $4)",
        [
            (small.ledger_id, row["id"], label, row["occurred_at"])
            for row in small.rows
            for label in small.links[row["id"]]
        ],
    )


def matches(small: Small, row: dict[str, Any], name: str, value: str) -> bool:
    """Tell whether a row has a value, by reading the filter's description literally."""
    if name == "q":
        return _has_text(small, row, value)
    if name == "label":
        return not row["labels"] if value == "none" else int(value) in row["labels"]
    if name == "asset":
        return value in {row["asset"], row["contract"]}
    if name == "counterparty" and value.endswith("*"):
        return (row["counterparty"] or "").startswith(value[:-1])
    column = {"address": "own_address", "wallet": "wallet_id"}.get(name, name)
    return row[column] is None if value == "none" else str(row[column]) == value


def _has_text(small: Small, row: dict[str, Any], text: str) -> bool:
    wanted = text.lower()
    note = row["note"].lower().replace(",", " ").split()
    words = [word for word in wanted.split() if _is_word(word)]
    names = [small.labels[label] for label in row["labels"]]
    names += [small.contacts[row["contact"]]] if row["contact"] else []
    return (
        (words and all(any(word.startswith(one) for word in note) for one in words))
        or any(wanted in name.lower() for name in names)
        or bool(row["txid"] and row["txid"].startswith(wanted))
    )


def _is_word(text: str) -> bool:
    """Tell whether PostgreSQL's parser sees a word: neither in marks nor in a tag."""
    return any(character.isalnum() for character in text) and not text.startswith("<")


def in_days(row: dict[str, Any], low: str, high: str) -> bool:
    """Tell whether a row is in a period of days (UTC)."""
    day = row["occurred_at"].date().isoformat()
    return (not low or low <= day) and (not high or day <= high)


def in_sizes(row: dict[str, Any], low: str, high: str) -> bool:
    """Tell whether a row's size is between two amounts."""
    size = row["amount"].copy_abs()
    return (not low or Decimal(low) <= size) and (not high or size <= Decimal(high))
