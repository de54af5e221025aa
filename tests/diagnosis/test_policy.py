"""The same requests without a policy of sessions and with one: what the database sees of them."""

from uuid import uuid4

import pytest

from databases import execute, url_of
from freshledger.diagnosis import policy
from freshledger.diagnosis.policy import Demonstration, Step
from freshledger.diagnosis.tables import AFTER, BEFORE
from freshledger.embedded import EmbeddedServer


@pytest.fixture(scope="module")
async def steps(server: EmbeddedServer) -> Demonstration:
    admin, name = url_of(server, "postgres"), f"policy_{uuid4().hex}"
    await execute(admin, f"CREATE DATABASE {name}")
    url = url_of(server, name).replace("postgresql://", "postgresql+psycopg://", 1)
    yield policy.demonstrate(url)
    await execute(admin, f"DROP DATABASE {name}")


def broken_promises(steps: tuple[Step, ...]) -> list[str]:
    """What a policy promises of each request, and these requests did not keep."""
    broken, latest = [], BEFORE
    for step in steps:
        latest = AFTER if step.name == "write" else latest
        if step.after.transaction or step.after.state != "idle":
            broken.append(f"{step.name}: a transaction is open")
        if step.page not in {None, latest}:
            broken.append(f"{step.name}: the page is old")
        if "Bob" in step.contacts:
            broken.append(f"{step.name}: what was refused is there")
    return broken


def test_with_a_policy_every_request_leaves_nothing_behind(steps: Demonstration):
    assert broken_promises(steps["with"]) == []


def test_without_one_none_of_it_holds(steps: Demonstration):
    broken = broken_promises(steps["without"])
    assert "GET /page: a transaction is open" in broken
    assert "GET /page: the page is old" in broken
    assert "POST /contacts: what was refused is there" in broken


def test_both_are_asked_the_same_in_the_same_isolation(steps: Demonstration):
    for taken in steps.values():
        assert tuple(step.name for step in taken) == policy.STEPS
        assert {step.isolation for step in taken if step.sql[:1] == ("BEGIN",)} == {
            "REPEATABLE READ"
        }


def test_another_function_cures_the_page_until_the_next_write(steps: Demonstration):
    """Its COMMIT ends the old snapshot; the next page begins the next one."""
    old, cure, fresh = steps["without"][2:5]
    assert (old.page, old.after.transaction) == (BEFORE, 1)
    assert (cure.sql[-1], cure.after.transaction) == ("COMMIT", 0)
    assert (fresh.page, fresh.after.transaction) == (AFTER, 2)


def test_the_documentation_shows_this_run(steps: Demonstration):
    assert policy.encode(steps) == policy.RECORD.read_bytes()
