"""Runs `freshledger` as a user does: as a program of its own."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from processes import data_folder

PROGRAM = str(Path(sys.executable).with_name("freshledger"))
SECONDS = 60

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with data_folder() as folder:
        yield folder


def _place(url: str | None) -> dict[str, str]:
    return {"FRESHLEDGER_DATABASE_URL": url} if url else {}


@pytest.fixture
def run(data_dir: Path) -> Run:
    """Run a command on the test's data folder, or with `url` on that database."""

    def run(*arguments: str | Path, url: str | None = None, code: int = 0, **options):
        done = subprocess.run(
            [PROGRAM, *map(str, arguments)],
            env={**os.environ, "FRESHLEDGER_DATA_DIR": str(data_dir), **_place(url)},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            **options,
        )
        assert done.returncode == code, done.stderr
        return done

    return run


@contextmanager
def serving(
    *arguments: str | Path, url: str | None = None, stderr: int | None = None
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Yield `freshledger serve`, with `url` on that database, and the address that it printed."""
    command = [PROGRAM, "serve", "--port", "0", *map(str, arguments)]
    with subprocess.Popen(
        command,
        env={**os.environ, **_place(url)},
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        start_new_session=True,
    ) as it:
        try:
            address = re.search(r"http://[\w.:\[\]]+", it.stdout.readline())
            assert address, "it printed no address"
            yield it, address[0]
        finally:
            it.terminate()
