"""Real exports: what is in the ledger equals what the file says, computed independently."""

import csv
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parents[3] / "shared" / "data"
ELECTRUM = sorted((DATA / "electrum").glob("history_*"))
BIP329 = sorted((DATA / "bip329").glob("*.jsonl"))

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no sample files in {DATA}")


def sum_of(path: Path) -> Decimal:
    """Sum an Electrum file by its own columns: on chain and Lightning, in whole coins."""
    if path.suffix == ".csv":
        with path.open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        columns = ("amount_chain_bc", "amount_lightning_bc")
        return sum((Decimal(row[name] or 0) for row in rows for name in columns), Decimal(0))
    total = Decimal(0)
    for item in json.loads(path.read_text()).values():
        for leg in item.get("children") or [item]:
            total += Decimal(leg.get("amount_sat") or 0).scaleb(-8)
            total += Decimal(leg.get("amount_msat") or 0).scaleb(-11)
    return total


def lines_of(path: Path) -> int:
    """Count the lines of a file that differ."""
    return len({line for line in path.read_text().splitlines() if line.strip()})


@pytest.mark.parametrize("path", ELECTRUM, ids=lambda path: path.name)
async def test_electrum_sums(desk: Any, path: Path) -> None:
    new, there, updated = await desk.bring(path, timezone="UTC")
    assert (there, updated) == (0, 0)
    assert new == await desk.count()
    total = "SELECT sum(amount) FROM transactions WHERE ledger_id = $1"
    assert await desk.psql.fetchval(total, desk.ledger_id) == sum_of(path)


async def test_electrum_in_all_its_exports_is_one_history(desk: Any) -> None:
    new = [(await desk.bring(path, timezone="UTC"))[0] for path in ELECTRUM]
    assert new[0] > 0
    assert new[1:] == [0] * (len(ELECTRUM) - 1)


@pytest.mark.parametrize("path", BIP329, ids=lambda path: path.name)
async def test_label_lines_are_all_kept(desk: Any, path: Path) -> None:
    counts = await desk.commit(await desk.stage(path))
    assert counts["lines"] + counts["problems"] == lines_of(path)
    assert await desk.count("reference_labels") == counts["lines"]
