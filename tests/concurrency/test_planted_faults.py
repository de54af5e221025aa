"""Each fault that makes pages stale, planted into the running program, is caught over HTTP."""

import sys

import pytest

from proof.checker import check, report
from proof.faults import FAULTS
from proof.runs import make_site, truth_of
from proof.scenarios import SCENARIOS, Memory, Play
from proof.serving import serving


def planted(database: str, fault: str):
    """Serve the program with a fault in it; `none` has the gates alone."""
    return serving(database, command=(sys.executable, "-m", "proof.faults", fault, "serve"))


async def found_in(database: str, address: str, name: str):
    """Play the scenario of a fault on a new ledger; return what the checker finds."""
    scenario, _ = SCENARIOS[name]
    play = Play(await make_site(database, address, rows=3), Memory())
    await scenario(play)
    assert any(one.effects and one.outcome in {"ok", "left"} for one in play.memory.records)
    return check(play.memory.records, await truth_of(play.site))


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_planted_fault_is_caught(name: str, database_url: str):
    async with planted(database_url, name) as (_, address):
        found = await found_in(database_url, address, name)
    assert SCENARIOS[name][1] in {one.rule for one in found}, report(found)


async def test_the_sound_program_shows_none_of_it(database_url: str):
    async with planted(database_url, "none") as (_, address):
        for name in SCENARIOS:
            found = await found_in(database_url, address, name)
            assert not found, f"{name}: {report(found)}"


def test_every_fault_has_a_scenario():
    assert FAULTS.keys() == SCENARIOS.keys() | {"none"}
