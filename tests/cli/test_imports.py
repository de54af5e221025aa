"""import and export as programs use them."""

import json
from pathlib import Path
from typing import Any

import pytest

HEAD = "wallet,occurred_at,type,status,asset,amount,group_key,identity,labels\n"
ROWS = (
    ",2024-01-31T12:00:00Z,receive,confirmed,ETH,1.5,a,a,Rent\n"
    ",2024-02-29T12:00:00Z,send,confirmed,BTC,-0.1,b,b,\n"
)


@pytest.fixture
def ledger(run: Any, data_dir: Path) -> Path:
    """A folder with a file in it, beside an installation with a ledger."""
    run("user", "create", "ann@example.org", "--password-stdin", input="a long password 1")
    run("ledger", "create", "Books", "--owner", "ann@example.org")
    file = data_dir / "export.csv"
    file.write_text(HEAD + ROWS)
    return file


def test_import_and_export(run: Any, ledger: Path) -> None:
    place = ("--ledger", "Books", "--wallet", "Main")
    dry = run("import", ledger, *place, "--dry-run", "--json")
    assert json.loads(dry.stdout)["new"] == 2
    first = json.loads(run("import", ledger, *place, "--json").stdout)
    assert (first["new"], first["there"], first["updated"], first["problems"]) == (2, 0, 0, 0)
    assert "0 new" in (said := run("import", ledger, *place).stdout)
    assert "2 already there" in said
    exported = run("export", "--ledger", "Books", "--format", "jsonl", "--label", "rent")
    (line,) = exported.stdout.splitlines()
    assert (json.loads(line)["wallet"], json.loads(line)["amount"]) == ("Main", "1.5")
    out = ledger.with_name("out.csv")
    run("export", "--ledger", "Books", "--format", "csv", "--not-asset", "BTC", "--out", out)
    assert len(out.read_text().splitlines()) == 2
    assert run("export", "--ledger", "Books", "--format", "csv", "--wallet", "No", code=1).stderr
    assert run("export", "--ledger", "Books", "--format", "xls", code=2).stderr


def test_a_row_that_cannot_be_read_stops_the_import(run: Any, ledger: Path) -> None:
    ledger.write_text(HEAD + ROWS.replace("-0.1", "1e400"))
    place = ("--ledger", "Books", "--wallet", "Main")
    refused = run("import", ledger, *place, code=1)
    assert "export.csv, line 3, column amount" in refused.stderr
    (books,) = json.loads(run("ledger", "list", "--json").stdout)
    assert (books["counts"]["transactions"], books["counts"]["wallets"]) == (0, 0)
    kept = run("import", ledger, *place, "--leave-out-problems", "--json")
    assert json.loads(kept.stdout)["new"] == 1
    assert run("import", ledger, "--ledger", "None", "--wallet", "Main", code=1).stderr
    assert run("import", "--ledger", "Books", "--wallet", "Main", code=2).stderr
