"""A MariaDB server in a folder of its own, where Debian's (or another) is installed."""

import getpass
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, create_engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from freshledger.errors import AppError

PROGRAM = "mariadbd"
INSTALL = "mariadb-install-db"
SECONDS = 60
_PLACES = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/opt/homebrew/bin"


def is_installed() -> bool:
    """Tell whether its programs are on this machine."""
    return bool(_find(PROGRAM) and _find(INSTALL))


@contextmanager
def running(folder: Path) -> Iterator[URL]:
    """Start a server whose files are in `folder`; yields its address, and stops it.

    Raises AppError, with the end of the server's log, where it does not start.
    """
    folder.mkdir(parents=True)
    data, log = folder / "data", folder / "mariadb.log"
    user = f"--user={getpass.getuser()}"
    with log.open("wb") as output:
        install = [_find(INSTALL), "--no-defaults", f"--datadir={data}", user, "--skip-test-db"]
        method = "--auth-root-authentication-method=normal"
        done = subprocess.run([*install, method], stdout=output, stderr=output, check=False)  # noqa: S603 - our own arguments
        if done.returncode:
            raise AppError(f"MariaDB's data folder could not be made: {_last(log)}")
        command = [_find(PROGRAM), "--no-defaults", f"--datadir={data}", user, "--skip-networking"]
        socket = f"--socket={folder}/s"
        process = subprocess.Popen([*command, socket], stdout=output, stderr=output)  # noqa: S603 - our own arguments
    try:
        url = URL.create("mariadb+pymysql", "root", query={"unix_socket": f"{folder}/s"})
        _wait(url, process, log)
        yield url
    finally:
        process.terminate()
        process.wait(SECONDS)


def _find(program: str) -> str:
    return shutil.which(program) or shutil.which(program, path=_PLACES) or ""


def _wait(url: URL, process: "subprocess.Popen[bytes]", log: Path) -> None:
    engine = create_engine(url, poolclass=NullPool)
    until = time.monotonic() + SECONDS
    while True:
        try:
            engine.connect().close()
        except OperationalError as error:
            if process.poll() is not None or time.monotonic() > until:
                raise AppError(f"MariaDB did not start: {_last(log)}") from error
            time.sleep(0.05)
        else:
            return


def _last(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return lines[-1] if lines else "it said nothing"
