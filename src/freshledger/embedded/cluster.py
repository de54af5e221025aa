"""The files of the embedded server: its cluster, its private socket folder, its pid file."""

import contextlib
import os
import shutil
import stat
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, Self

from freshledger.embedded.programs import MAJOR, Account, give, run
from freshledger.errors import Invalid

DATABASE = "freshledger"
SUPERUSER = "postgres"
SOCKET_PATH_LIMIT = 107
"""Bytes: the kernel's limit for a socket's whole path."""

INITDB = (
    f"--username={SUPERUSER}",
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
)


class PidFile(NamedTuple):
    """What postmaster.pid says; only an answer on the socket proves that it is still true."""

    pid: int
    socket_dir: Path
    ready: bool

    @classmethod
    def read(cls, cluster: Path) -> Self | None:
        """Return it once it is written whole, None if there is none."""
        try:
            lines = (cluster / "postmaster.pid").read_text().splitlines()
            return cls(int(lines[0]), Path(lines[4]), lines[-1].strip() == "ready")
        except (FileNotFoundError, IndexError, ValueError):
            return None


def initialise(cluster: Path, home: Path, account: Account) -> None:
    """Make the cluster with its empty database, whole or not at all; leave one that is there.

    Raises Invalid if another major version of PostgreSQL wrote it.
    """
    with contextlib.suppress(FileNotFoundError):
        found = (cluster / "PG_VERSION").read_text().strip()
        if found != MAJOR:
            raise Invalid(
                f"{cluster} holds data of PostgreSQL {found}, this version uses {MAJOR}: make a "
                "backup with the version that wrote it, and restore it into a new data folder"
            )
        return
    new = cluster.with_name("pg.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    give(new, account)
    run(home / "bin/initdb", "-D", str(new), *INITDB, account=account)
    create = f"CREATE DATABASE {DATABASE};\n"
    single = ("--single", "-D", str(new), "postgres")
    run(home / "bin/postgres", *single, account=account, text=create)
    new.rename(cluster)


def make_socket_dir(data_dir: Path, account: Account) -> Path:
    """Make a private, empty folder with a short path, whatever the data folder is called.

    What a killed server left in it is removed: there must be no other one by now. Raises Invalid if somebody else has made one of that name.
    """
    uid = account.pw_uid if account else os.geteuid()
    name = f"freshledger-{uid}-{sha256(os.fsencode(data_dir)).hexdigest()[:12]}"
    folder = Path(tempfile.gettempdir(), name)
    if len(os.fsencode(folder / ".s.PGSQL.5432.lock")) > SOCKET_PATH_LIMIT:
        folder = Path("/tmp", name)  # noqa: S108 - nobody else can enter it
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {uid, os.geteuid()}:
        raise Invalid(f"{folder} was made by somebody else: remove it, or set TMPDIR")
    folder.chmod(0o700)
    for left in folder.glob(".s.PGSQL.*"):
        left.unlink()
    give(folder, account)
    return folder
