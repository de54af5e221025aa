"""One run of all experiments for all tests that look at it, whoever of the workers they run on."""

import fcntl
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from freshledger.diagnosis.matrix import Matrix

SECONDS = 900


@pytest.fixture(scope="session")
def observed(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Matrix:
    """What `freshledger diagnose --json` printed; the first test to ask runs it."""
    base = tmp_path_factory.getbasetemp()
    folder = base if worker_id == "master" else base.parent
    with (folder / "diagnose.lock").open("w") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        place = folder / "diagnose.json"
        if not place.exists():
            program = Path(sys.executable).with_name("freshledger")
            done = subprocess.run(
                [program, "diagnose", "--json"], capture_output=True, timeout=SECONDS, check=False
            )
            (folder / "diagnose.err").write_bytes(done.stderr)
            place.write_bytes(done.stdout or b"{}")
        if not place.read_bytes().startswith(b"{\n"):
            pytest.fail((folder / "diagnose.err").read_text())
        return msgspec.json.decode(place.read_bytes(), type=Matrix)
