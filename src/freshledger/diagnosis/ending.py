"""Ends the servers of a run that was killed, and removes its folders.

A program of its own, so that it is there when the run is not: it waits until the run says that
it has cleaned up by itself, or is no more.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SECONDS = 60
"""How long it goes on at most: a server that is just starting may need another blow."""

TURN = 0.2
"""Seconds, also for the apps, which end by themselves: they shall not miss their database."""


@contextmanager
def watched(*folders: Path) -> Iterator[None]:
    """Let the folders, with the PostgreSQL servers in them, not outlive this process."""
    watch = subprocess.Popen(  # noqa: S603 - our own arguments
        [sys.executable, "-I", __file__, *map(str, folders)],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield
    finally:
        watch.communicate(b"\n")


def _end(folders: list[Path]) -> None:
    sockets: set[Path] = set()
    until = time.monotonic() + SECONDS
    while any(folder.exists() for folder in (*folders, *sockets)) and time.monotonic() < until:
        time.sleep(TURN)
        for folder in folders:
            for place, _, files in os.walk(folder):
                if "postmaster.pid" in files:
                    sockets.update(_stop(Path(place, "postmaster.pid")))
            shutil.rmtree(folder, ignore_errors=True)
        for private in sockets:
            with suppress(OSError):  # the server still has its socket in it, or it is gone
                private.rmdir()


def _stop(pid_file: Path) -> Iterator[Path]:
    """End the server, without care for its data; yields the folder of its socket."""
    with suppress(OSError, ValueError, IndexError):  # ended, or not yet written whole
        lines = pid_file.read_text().splitlines()
        os.kill(int(lines[0]), signal.SIGQUIT)
        yield Path(lines[4])


if __name__ == "__main__" and not sys.stdin.read(1):
    _end([Path(name) for name in sys.argv[1:]])
