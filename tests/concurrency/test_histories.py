"""Clients of several processes record what they do and see over HTTP; the checker finds nothing."""

import asyncio

from proof.checker import report
from proof.runs import let_loose, make_site
from proof.serving import serving

SECONDS = 6
PROCESSES = (
    {"edit": 2, "label": 1, "bulk": 1, "read": 2, "live": 1},
    {"edit": 2, "make": 1, "foreign": 1, "read": 2, "live": 1},
)


async def test_clients_of_two_processes(own_database: str, tmp_path):
    async with serving(own_database) as (_, address):
        site = await make_site(own_database, address)
        run = await let_loose(site, tmp_path, PROCESSES, seconds=SECONDS)
    print(len(run.records), run.truth.last)
    assert not run.violations, report(run.violations)
