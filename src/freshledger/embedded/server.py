"""Starts, joins and stops the server of one data folder."""

import contextlib
import fcntl
import os
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self
from urllib.parse import quote

import psutil

from freshledger.embedded.cluster import (
    DATABASE,
    SUPERUSER,
    PidFile,
    initialise,
    make_socket_dir,
)
from freshledger.embedded.programs import (
    ENVIRONMENT,
    account_for,
    as_account,
    give,
    last_error,
    reachable_installation,
    require_reachable,
    run,
    tool,
)
from freshledger.embedded.signals import signals_held
from freshledger.errors import AppError, Invalid

PORT = 5432
START_SECONDS = 600  # a crash recovery may replay much
STOP_SECONDS = 60
LOG_LIMIT = 10 * 1024**2
IN_THE_WAY = "pre-existing shared memory block"

SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "client_connection_check_interval": "5s",  # a dead client's statement ends, and its locks
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}

# Servers that outlive their starter's use of them, because other processes still use them.
_left_to_others: list[subprocess.Popen[bytes]] = []


class EmbeddedServer:
    """The server of one data folder; `with EmbeddedServer(folder) as server` starts and stops it.

    Several processes and objects may use one folder at once. stop() from another thread ends
    a start() that is under way.
    """

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir.expanduser().absolute()
        self.log = self.data_dir / "postgres.log"
        self._cluster = self.data_dir / "pg"
        self._account = account_for(self._cluster)
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._users: IO[Any] | None = None
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
        with self._lock:
            if self._users is not None:
                return self
            try:
                self._enter()
            except BaseException as error:
                self.stop()
                if isinstance(error, OSError):
                    sentence = f"the data folder {self.data_dir} cannot be used: {error}"
                    raise Invalid(sentence) from error
                raise
            return self

    def stop(self) -> None:
        """Give the server up; the last user stops it. Ctrl-C waits until that is done."""
        self._stopping.set()
        with self._lock, signals_held():
            if self._users is not None:
                with self._gate():
                    self._leave()
            self._stopping.clear()

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

    def _enter(self) -> None:
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._account:  # it may pass through our folder, not read it
            self.data_dir.chmod(stat.S_IMODE(self.data_dir.stat().st_mode) | stat.S_IXOTH)
            require_reachable(self._account, self.data_dir)
        with self._gate():
            self._users = self._open("users.lock")
            fcntl.flock(self._users, fcntl.LOCK_SH)
            self._socket_dir = self._join() or self._launch()

    def _leave(self) -> None:
        users, self._users = self._users, None
        process, self._process = self._process, None
        if users is None:
            return
        with users:
            if _alone(users):
                self._halt(process)
            elif process is not None:
                _left_to_others.append(process)
        self._socket_dir = None

    def _open(self, name: str) -> IO[bytes]:
        path = self.data_dir / name
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        give(path, self._account)
        return os.fdopen(descriptor, "ab")

    @contextlib.contextmanager
    def _gate(self) -> Iterator[None]:
        """Only one process at a time starts or stops the server of a folder."""
        with self._open("start.lock") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            yield

    def _join(self) -> Path | None:
        """Return the socket folder of the running server once it answers, None if there is none.

        The number in postmaster.pid may be a zombie's or by now another program's, so only an
        answer counts, and a file that names no server of this folder is removed.
        """
        for _ in self._while_starting():
            found = PidFile.read(self._cluster)
            if found is None:
                return None
            answer = _ask(found.socket_dir)
            if answer == 0:
                return found.socket_dir
            if not self._is_ours(found.pid):
                (self._cluster / "postmaster.pid").unlink(missing_ok=True)
                return None
            if answer != 1:  # it lives, but its socket is gone: only a new server helps
                self._halt(None)
                return None
        raise AppError(f"PostgreSQL is still recovering, see {self.log}; try again later")

    def _is_ours(self, pid: int) -> bool:
        """Tell whether it works in our cluster; the dead and zombies work nowhere."""
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            return Path(psutil.Process(pid).cwd()) == self._cluster.resolve()
        return False

    def _launch(self) -> Path:
        home = reachable_installation(self._account)
        initialise(self._cluster, home, self._account)
        self._socket_dir = make_socket_dir(self.data_dir, self._account)
        settings = SETTINGS | {"unix_socket_directories": f'"{self._socket_dir}"'}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [str(home / "bin/postgres"), "-D", str(self._cluster), *options]
        failure = IN_THE_WAY
        for _ in self._while_starting():
            if IN_THE_WAY not in failure:  # else the last processes of a killed server are going
                break
            failure = self._spawn(command)
            if not failure:
                return self._socket_dir
        raise AppError(f"PostgreSQL did not start: {last_error(failure)} (its log is {self.log})")

    def _spawn(self, command: list[str]) -> str:
        """Start the server and wait until it is ready; return what it said if it died instead."""
        with self._open("postgres.log") as log:
            if log.tell() > LOG_LIMIT:
                log.truncate(0)
            before = log.seek(0, os.SEEK_END)
            with signals_held():  # once forked, the process must be known to stop()
                self._process = subprocess.Popen(  # noqa: S603 - PostgreSQL's own
                    command, stdout=log, stderr=log, **as_account(self._account)
                )
        for _ in self._while_starting():
            if self._process.poll() is not None:
                break
            found = PidFile.read(self._cluster)
            if found and found.pid == self._process.pid and found.ready:
                return ""
        with self.log.open("rb") as log:
            log.seek(before)
            return log.read().decode(errors="replace") or "it was not ready in time"

    def _while_starting(self) -> Iterator[None]:
        """Give a turn every few milliseconds, until the time is up or stop() was called."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            yield
            if self._stopping.wait(0.02):
                raise AppError("the start of PostgreSQL was interrupted")

    def _halt(self, process: subprocess.Popen[bytes] | None) -> None:
        """Shut the server down fast: clients are disconnected, what was committed is kept."""
        found = PidFile.read(self._cluster)
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGQUIT)  # at once: it recovers at its next start
                process.wait(STOP_SECONDS)
        elif found and self._is_ours(found.pid):
            program = reachable_installation(self._account) / "bin/pg_ctl"
            arguments = ("-D", str(self._cluster), "-m", "fast", "-w", "-t", str(STOP_SECONDS))
            run(program, *arguments, "stop", account=self._account)
        for left in _left_to_others:
            left.poll()  # reaps it, if it was that one
        if self._socket_dir is not None:
            with contextlib.suppress(OSError):  # in use or gone: it is made again when needed
                self._socket_dir.rmdir()


def _alone(users: IO[Any]) -> bool:
    """Tell whether no other process or object holds the shared lock."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _ask(socket_dir: Path) -> int:
    """Return pg_isready's answer: 0 takes connections, 1 is starting or stopping, 2 is silent."""
    command = [str(tool("pg_isready")), "-q", "-p", str(PORT), "-h", str(socket_dir)]
    return subprocess.run(command, env=ENVIRONMENT, check=False).returncode  # noqa: S603 - PostgreSQL's own
