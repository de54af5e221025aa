"""A run: the experiments of many causes, four at once, on servers and in a folder of its own."""

import multiprocessing
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from importlib.metadata import version
from multiprocessing import forkserver, resource_tracker
from multiprocessing.util import get_temp_dir
from pathlib import Path

import psutil
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from freshledger.diagnosis.catalogue import NOT_RUN, load_causes
from freshledger.diagnosis.cause import Cause
from freshledger.diagnosis.ending import watched
from freshledger.diagnosis.hosting import DidNotStart
from freshledger.diagnosis.looks import Cell
from freshledger.diagnosis.matrix import Matrix, Row, make_row
from freshledger.diagnosis.servers import NoServer, Servers
from freshledger.diagnosis.trials import CURES, Broken, Experiment
from freshledger.embedded.signals import signals_held
from freshledger.errors import AppError, Invalid

__all__ = ["TRIALS", "load_causes", "run"]

AT_ONCE = 4
TRIALS = len(CURES) + 2
"""How often `done` is called for a cause: its healed twin, each cure, a new process."""

LIBRARIES = ("SQLAlchemy", "Flask", "Flask-SQLAlchemy", "Quart", "FastAPI")
Done = Callable[[], None]


def run(
    causes: Collection[Cause], *, mariadb_url: str | None = None, done: Done = lambda: None
) -> Matrix:
    """Run the experiments; the rows also name the causes that have none.

    `done` is called from threads, TRIALS times for each cause. What does not work is its row's
    `failure`. An interruption ends it in a moment; neither processes nor files are left, nor
    where it is killed.
    """
    _start_forking()
    with _servers(mariadb_url) as servers:
        bench = _Bench(servers, done)
        rows = [*bench.run(causes), *map(make_row, NOT_RUN)]
        return Matrix(tuple(sorted(rows, key=lambda row: row.id)), bench.versions)


def _start_forking() -> None:
    """Start what the apps are forked from, out of reach of Ctrl-C: they all end with us.

    Raises Invalid where the folder of temporary files is too deep for its socket.
    """
    resource_tracker.ensure_running()  # else the next one starts it, and then unblocks the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    except OSError as error:
        if "too long" not in str(error):
            raise
        raise Invalid(
            f"the path of {tempfile.gettempdir()} is too long for a socket in it: "
            "name a folder for temporary files with a shorter one in TMPDIR"
        ) from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _servers(mariadb_url: str | None) -> Iterator[Servers]:
    """Make a folder that PostgreSQL's own user may pass through; Ctrl-C waits for its removal."""
    folder = Path(tempfile.mkdtemp(prefix="freshledger-diagnose-"))
    ending = ExitStack()
    try:
        ending.enter_context(watched(folder, Path(get_temp_dir())))
        ending.callback(shutil.rmtree, folder)
        folder.chmod(0o711)
        yield ending.enter_context(Servers(folder, mariadb_url=mariadb_url))
    finally:
        with signals_held():
            ending.close()


class _Stopped(Exception):
    """The run was interrupted."""


class _Bench:
    """Where the experiments of one run take place."""

    def __init__(self, servers: Servers, done: Done) -> None:
        self.versions: Mapping[str, str] = {name: version(name) for name in LIBRARIES}
        self._servers = servers
        self._done = done
        self._stopping = threading.Event()

    def run(self, causes: Iterable[Cause]) -> list[Row]:
        """Return a row of each."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            futures = [pool.submit(self._row, cause) for cause in causes]
            try:
                return [future.result() for future in futures]
            except BaseException:
                with signals_held():
                    self._stop(pool, futures)
                raise

    def _stop(self, pool: ThreadPoolExecutor, futures: Iterable[Future[Row]]) -> None:
        """End what runs: without their apps the experiments fail at once."""
        self._stopping.set()
        pool.shutdown(wait=False, cancel_futures=True)
        begun = [future for future in futures if not future.cancelled()]
        while wait(begun, timeout=0.05).not_done:
            for process in multiprocessing.active_children():
                _kill(process.pid)

    def _row(self, cause: Cause) -> Row:
        try:
            return make_row(cause, cells=self._observe(cause))
        except NoServer as missing:
            return make_row(cause, not_run=str(missing))
        except _Stopped:
            raise
        except Exception as error:  # noqa: BLE001 - told, with the others' rows; the run fails
            return make_row(cause, failure=_sentence(cause, error))

    def _observe(self, cause: Cause) -> Mapping[str, Cell]:
        self._check()
        url = self._servers.make_database(cause.engine, cause.id.lower())
        self._note(url)
        experiment = Experiment(cause, url, self._servers.folder / cause.id)
        return experiment.run(self._trial_done)

    def _trial_done(self) -> None:
        self._done()
        self._check()

    def _check(self) -> None:
        if self._stopping.is_set():
            raise _Stopped

    def _note(self, url: str) -> None:
        name, question = _SERVERS[make_url(url).get_backend_name()]
        if name not in self.versions:
            self.versions = {**self.versions, name: _ask(url, question)}


_SERVERS: Mapping[str, tuple[str, str]] = {
    "postgresql": ("PostgreSQL", "SHOW server_version"),
    "mariadb": ("MariaDB", "SELECT VERSION()"),
    "sqlite": ("SQLite", "SELECT sqlite_version()"),
}


def _ask(url: str, question: str) -> str:
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        return str(connection.scalar(text(question)))


def _kill(pid: int | None) -> None:
    """End a server with its workers."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for one in (*process.children(recursive=True), process):
            with suppress(psutil.NoSuchProcess):
                one.kill()


def _sentence(cause: Cause, error: Exception) -> str:
    """Return what went wrong in one line: a message's first, a traceback's last."""
    lines = [line.strip() for line in str(getattr(error, "orig", error)).splitlines()]
    lines = [line for line in lines if line and not line.startswith("(Background on")] or [""]
    said = lines[-1] if isinstance(error, DidNotStart) else lines[0]
    if not isinstance(error, Broken | DidNotStart | AppError):
        said = f"{type(error).__name__}: {said}"
    return f"{cause.id}: {said.removeprefix(f'{cause.id}: ')}"
