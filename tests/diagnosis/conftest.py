"""One run of all experiments for all tests that look at it, whoever of the workers they run on."""

import fcntl
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from freshledger.diagnosis.matrix import Matrix

SECONDS = 900
GRACE = 60
"""Seconds in which an interrupted run has cleaned up after itself."""


@pytest.fixture(scope="session")
def observed(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Matrix:
    """What `freshledger diagnose --json` printed; the first test to ask runs it, once for all."""
    base = tmp_path_factory.getbasetemp()
    folder = base if worker_id == "master" else base.parent
    with (folder / "diagnose.lock").open("w") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        place = folder / "diagnose.json"
        if not place.exists():
            stdout, stderr = _run()
            (folder / "diagnose.err").write_text(stderr)
            place.write_text(stdout)
        if not place.read_bytes().startswith(b"{\n"):
            pytest.fail((folder / "diagnose.err").read_text())
        return msgspec.json.decode(place.read_bytes(), type=Matrix)


def _run() -> tuple[str, str]:
    """Return what it prints; one that takes too long is interrupted, and cleans up."""
    program = Path(sys.executable).with_name("freshledger")
    with subprocess.Popen(
        [program, "diagnose", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            return process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.terminate()
        try:
            _, stderr = process.communicate(timeout=GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            _, stderr = process.communicate()
        return "", f"freshledger diagnose took longer than {SECONDS} s\n{stderr}"
