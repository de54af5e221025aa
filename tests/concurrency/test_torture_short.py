"""make torture, for a minute: every fault once, and a fault of the program's own is found."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec

from proof.injectors import FAULTS
from proof.serving import TESTS
from proof.tally import Result

LONGEST = 400
"""Seconds after which a run has failed, whatever else the machine does."""


def torture(
    results: Path, *arguments: str
) -> tuple[subprocess.CompletedProcess[str], list[Result]]:
    """Run it as `make torture` does; returns how it ended, and the results that it wrote."""
    done = subprocess.run(
        [sys.executable, "-m", "proof.torture", "--json", str(results), *arguments],
        env=os.environ | {"PYTHONPATH": TESTS},
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )
    written = results.read_bytes() if results.exists() else b"[]"
    return done, msgspec.json.decode(written, type=list[Result])


def test_every_fault_once(tmp_path: Path) -> None:
    done, results = torture(tmp_path / "results.json", "--seconds", "60")
    assert done.returncode == 0, done.stderr
    assert {one.fault for one in results} == {fault.name for fault in FAULTS.values()}
    for one in results:
        assert one.injections >= 1
        assert one.under > 0
        assert one.violations == 0
        assert len(one.recovery) == one.injections


def test_a_planted_fault_is_found_under_faults(tmp_path: Path) -> None:
    planted = ("--planted", "a 304 from an old version")
    done, results = torture(
        tmp_path / "results.json", "--seconds", "5", "--faults", "reply", *planted
    )
    assert done.returncode == 1, done.stderr
    assert results[0].violations > 0
    assert "stale read" in done.stderr


def test_a_fault_that_nobody_knows(tmp_path: Path) -> None:
    done, results = torture(tmp_path / "results.json", "--faults", "earthquake")
    assert done.returncode == 2
    assert "earthquake" in done.stderr
    assert results == []
