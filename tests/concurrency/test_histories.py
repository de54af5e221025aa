"""Clients of several processes record what they do and see over HTTP; the checker finds nothing."""

from collections import Counter

from proof.checker import EDITS, READS, report
from proof.load import FOLLOWERS
from proof.runs import let_loose, make_site
from proof.serving import serving

SECONDS, ROWS = 6, 30
PROCESSES = (
    {"edit": 2, "label": 1, "bulk": 1, "leave": 1, "read": 2, "live": 1},
    {"edit": 1, "submit": 1, "make": 1, "foreign": 1, "read": 2, "wander": 1},
)


async def test_clients_of_two_processes_and_workers(own_database: str, tmp_path):
    """Writers who meet on the same rows, people who leave, somebody in psql, pages that follow."""
    async with serving(own_database, "--workers", "2") as (_, address):
        site = await make_site(own_database, address, rows=ROWS)
        run = await let_loose(site, tmp_path, PROCESSES, seconds=SECONDS)
    assert not run.violations, report(run.violations)
    happened = Counter(one.kind for one in run.records if one.outcome == "ok")
    assert happened.keys() == EDITS | READS | {"event", "settled"}, happened
    assert happened["settled"] == sum(
        FOLLOWERS.keys() & clients.keys() != set() for clients in PROCESSES
    )
    assert any(one.same_again for one in run.records)
    assert not [str(one) for one in run.records if one.status == 500]
    assert sum(one.told is not None and one.told.first for one in run.records) > 2
