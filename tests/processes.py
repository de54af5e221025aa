"""The PostgreSQL processes of a folder: what tests look at and must not leave behind."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil


def postmasters(folder: Path) -> list[psutil.Process]:
    """Return the server processes whose working folder is at or below `folder`."""
    found = []
    for process in psutil.process_iter(["name", "cwd"]):
        name, cwd = process.info["name"], process.info["cwd"]
        if name == "postgres" and cwd and Path(cwd).is_relative_to(folder):
            found.append(process)
    return found


@contextmanager
def data_folder() -> Iterator[Path]:
    """Yield a path that PostgreSQL's user can reach; a server left running in it is a failure.

    (pytest's tmp_path is closed to others, and PostgreSQL does not run as root.)
    """
    top = Path(tempfile.mkdtemp(prefix="freshledger-test-"))
    top.chmod(0o711)
    yield top / "data"
    left = postmasters(top)
    for process in left:
        process.kill()
    shutil.rmtree(top)
    assert left == []
