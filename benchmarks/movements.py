"""Made-up movements of one wallet, oldest first: as a file of ours, for psql, and for the ORM."""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from freshledger.imports.formats.own import FIELDS

COLUMNS = (
    "ledger_id", "wallet_id", "own_address", "chain", "txid", "group_key", "occurred_at", "type", "asset", "amount",
    "counterparty", "note", "identity", "status",
)  # fmt: skip
"""Of the table: what a movement has here, and where it belongs."""

_BEGAN, _YEARS = datetime(2019, 1, 1, tzinfo=UTC), timedelta(days=5 * 365)
_CHAINS = {"ethereum": 10, "polygon": 4, "arbitrum": 3, "base": 2, "bnb": 1}
_ASSETS = {"ETH": 30, "USDC": 25, "USDT": 20, "DAI": 8, "WBTC": 5, "LINK": 4, "UNI": 3, "ARB": 3}
_TYPES = {"receive": 10, "send": 8, "trade": 4, "fee": 4, "transfer": 2, "reward": 1}
_PEOPLE = 20_000


def movements(rows: int, seed: int) -> Iterator[dict[str, str]]:
    """Yield movements as the text of their cells; the same ones for the same seed.

    A few assets, chains and counterparties have most of the rows, and one row in ten a note.
    """
    random = Random(seed)
    own = f"0x{random.getrandbits(160):040x}"
    people = [f"0x{random.getrandbits(160):040x}" for _ in range(_PEOPLE)]
    step = _YEARS / rows
    chains, assets, types = (
        random.choices(list(kinds), list(kinds.values()), k=rows)
        for kinds in (_CHAINS, _ASSETS, _TYPES)
    )
    for n in range(rows):
        txid = f"0x{random.getrandbits(256):064x}"
        sign = "" if types[n] in {"receive", "reward"} else "-"
        moment = _BEGAN + step * n
        yield {
            "own_address": own,
            "chain": chains[n],
            "txid": txid,
            "group_key": f"{chains[n]}:{txid}",
            "occurred_at": f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z",
            "type": types[n],
            "asset": assets[n],
            "amount": f"{sign}{random.randrange(1, 10**6)}.{random.randrange(1, 10**6):06}1",
            "counterparty": people[int(_PEOPLE * random.random() ** 3)],
            "note": f"invoice {n}" if n % 10 == 0 else "",
            "identity": f"{chains[n]}:{txid}:{assets[n]}:0",
            "status": "confirmed",
        }


def write_ours(path: Path, rows: int, seed: int) -> None:
    """Write movements as a CSV of ours."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        writer.writerows(movements(rows, seed))


def write_plain(path: Path, rows: int, seed: int, place: dict[str, int]) -> None:
    """Write the same movements for psql, with COLUMNS; `place` is their ledger and wallet."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writerows(place | cells for cells in movements(rows, seed))


def values(cells: dict[str, str]) -> dict[str, Any]:
    """Return a movement's cells as the ORM takes them."""
    exact = {
        "occurred_at": datetime.fromisoformat(cells["occurred_at"]),
        "amount": Decimal(cells["amount"]),
    }
    return cells | exact
