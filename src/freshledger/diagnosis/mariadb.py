"""A MariaDB server in a folder of its own, where Debian's (or another) is installed.

It has no system tables: accounts are not asked for, and nobody else can reach its socket. What
it writes is thrown away with its folder, so that it needs neither care nor time to end.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL

from freshledger.errors import AppError

PROGRAM = "mariadbd"
SECONDS = 60
SOCKET_PATH_LIMIT = 100
"""Bytes; a little below what Linux (107) and macOS (103) allow."""

_PLACES = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/opt/homebrew/bin"
_OPTIONS = (
    "--skip-grant-tables",
    "--skip-networking",
    "--skip-log-bin",
    "--loose-skip-performance-schema",
    "--loose-innodb-buffer-pool-size=16M",
    "--loose-innodb-log-file-size=4M",
    "--loose-innodb-flush-log-at-trx-commit=0",
    "--loose-skip-innodb-doublewrite",
    "--loose-skip-innodb-stats-persistent",
    "--loose-skip-innodb-use-native-aio",
)
"""Nothing that changes what a transaction sees: it is small, and does not wait for the disk."""

_END_WITH_US = 'read -r _ || kill -9 "$0"'
"""For a shell whose input only this process holds open: it ends too, however it ends."""


def is_installed() -> bool:
    """Tell whether its program is on this machine."""
    return bool(_find(PROGRAM))


@contextmanager
def running(folder: Path) -> Iterator[URL]:
    """Start a server whose files are in `folder`; yields its address, and stops it.

    Raises AppError, with the end of the server's log, where it does not start.
    """
    (folder / "data").mkdir(parents=True)
    folder.chmod(0o700)
    log = folder / "mariadb.log"
    near = folder if len(os.fsencode(folder / "socket/s")) < SOCKET_PATH_LIMIT else Path("/tmp")  # noqa: S108 - the folder made in it is private
    with tempfile.TemporaryDirectory(prefix="socket-", dir=near) as private:
        address = Path(private, "s")
        with _process(folder / "data", address, log) as process:
            _wait(address, process, log)
            yield URL.create("mariadb+pymysql", "root", query={"unix_socket": str(address)})


@contextmanager
def _process(data: Path, address: Path, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the server; it ends with the block, and with this process if that is killed."""
    command = [_find(PROGRAM), "--no-defaults", f"--datadir={data}", f"--socket={address}"]
    if os.geteuid() == 0:
        command.append("--user=root")
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own arguments
            [*command, *_OPTIONS], stdout=output, stderr=output, start_new_session=True
        )
    watch = subprocess.Popen(  # noqa: S603 - our own arguments
        ["/bin/sh", "-c", _END_WITH_US, str(process.pid)],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        watch.communicate(b"\n")
        process.kill()
        process.wait()


def _find(program: str) -> str:
    return shutil.which(program) or shutil.which(program, path=_PLACES) or ""


def _wait(address: Path, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until the server greets whoever connects."""
    until = time.monotonic() + SECONDS
    while not _greets(address):
        if process.poll() is not None or time.monotonic() > until:
            raise AppError(f"MariaDB did not start: {_last(log)}")
        time.sleep(0.02)


def _greets(address: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(SECONDS)
        try:
            connection.connect(str(address))
            return bool(connection.recv(1))
        except OSError:
            return False


def _last(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return lines[-1] if lines else "it said nothing"
