"""user, ledger and token, as scripts use them."""

import json

import pytest

from people import PASSWORD

ANN = "ann@example.org"


@pytest.fixture
def cli(run, own_database):
    def call(*arguments, given="", code=0):
        return run(*arguments, url=own_database, code=code, input=given)

    return call


@pytest.fixture
def ann(cli):
    cli("user", "create", ANN, "--password-stdin", "--admin", given=f"{PASSWORD}\n")
    return ANN


def test_from_nothing_to_a_token(cli, ann):
    made = cli("ledger", "create", "House", "--owner", ann)
    ledger_id = int(made.stdout)
    token = cli("token", "create", "--ledger", "House", "--user", ann, "--scope", "write")
    assert token.stdout.startswith(f"fl_{ledger_id}_")
    assert token.stdout.count("\n") == 1
    expected = {
        "id": ledger_id,
        "name": "House",
        "version": 2,
        "archived": False,
        "counts": {"transactions": 0, "wallets": 0, "contacts": 0, "labels": 0},
    }
    assert json.loads(cli("ledger", "list", "--json").stdout) == [expected]
    assert "House" in cli("ledger", "list").stdout


def test_no_ledgers(cli):
    assert json.loads(cli("ledger", "list", "--json").stdout) == []


def test_a_name_that_two_ledgers_have(cli, ann):
    ids = [cli("ledger", "create", "House", "--owner", ann).stdout.strip() for _ in range(2)]
    rest = ("--user", ann, "--scope", "read", "--expires", "7")
    refused = cli("token", "create", "--ledger", "House", *rest, code=1)
    assert f"give the id instead: {ids[0]}, {ids[1]}" in refused.stderr
    assert cli("token", "create", "--ledger", ids[1], *rest).stdout.startswith(f"fl_{ids[1]}_")
    assert "there is no ledger 99" in cli("token", "create", "--ledger", "99", *rest, code=1).stderr


def test_user_commands(cli, ann):
    new = "another horse battery"
    cli("user", "password", ann.upper(), "--password-stdin", given=new)
    cli("user", "disable", ann)
    cli("user", "enable", ann)
    assert "already a user" in cli(
        "user", "create", ann, "--password-stdin", given=new, code=1
    ).stderr  # fmt: skip
    assert "no user" in cli("user", "disable", "nobody@example.org", code=1).stderr
    short = cli("user", "password", ann, "--password-stdin", given="short", code=1)
    assert "at least 10 characters" in short.stderr
    assert "--password-stdin" in cli("user", "create", "b@example.org", code=1).stderr


def test_a_token_needs_a_member(cli, ann):
    cli("user", "create", "bob@example.org", "--password-stdin", given=PASSWORD)
    cli("ledger", "create", "House", "--owner", ann)
    rest = ("--ledger", "House", "--scope", "read")
    refused = cli("token", "create", "--user", "bob@example.org", *rest, code=1)
    assert "no member" in refused.stderr
    assert refused.stdout == ""
    cli("token", "create", "--user", ann, "--ledger", "House", "--scope", "all", code=2)
    cli("ledger", "create", "House", code=2)
