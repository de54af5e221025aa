"""What a run was made on: the machine, the versions, the commit."""

import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
LIBRARIES = (
    "quart", "hypercorn", "uvloop", "sqlalchemy", "asyncpg", "flask", "flask-sqlalchemy", "gunicorn",
    "psycopg", "fastapi", "sqlmodel", "uvicorn", "litestar", "advanced-alchemy", "granian", "django",
    "djangorestframework",
)  # fmt: skip
"""Those of freshledger and of its peers whose speed is measured."""


def describe_machine() -> dict[str, str]:
    """Return its processor, cores, memory and system, in words."""
    memory = round(psutil.virtual_memory().total / 1024**3)
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    return {
        "processor": _processor(),
        "cores": str(psutil.cpu_count()),
        "memory": f"{memory} GB",
        "system": f"{system}, Linux {platform.release()}",
    }


def _processor() -> str:
    text = Path("/proc/cpuinfo").read_text(errors="replace")
    found = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    return found[1] if found else platform.machine()


def list_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that are installed."""
    versions = {"Python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def describe_commit() -> str:
    """Return the short name of what is checked out, and whether there is more than that."""
    commit = _git("rev-parse", "--short=10", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no")
    return f"{commit} with changes" if changed else commit


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(
        command, cwd=ROOT, check=True, text=True, capture_output=True
    ).stdout.strip()
