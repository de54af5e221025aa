"""The databases under experiment: one of its own for each experiment, on a real server."""

import os
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import URL, create_engine, make_url, text
from sqlalchemy.pool import NullPool

from freshledger.diagnosis import mariadb, replica
from freshledger.diagnosis.cause import EngineName
from freshledger.embedded import EmbeddedServer


class NoServer(Exception):
    """There is no such server here; says how to get one."""


class Servers:
    """The servers of a run: each is started when the first experiment needs it.

    `mariadb_url` names one that runs already, in which databases may be made.
    """

    def __init__(self, folder: Path, *, mariadb_url: str | None = None) -> None:
        self.folder = folder
        self._mariadb_url = mariadb_url
        self._started: dict[EngineName, URL] = {}
        self._failed: dict[EngineName, Exception] = {}
        self._gates = {engine: threading.Lock() for engine in _START}
        self._running = ExitStack()

    def __enter__(self) -> Self:
        """Begin; nothing is started yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop what was started, and remove what was made on a server of the user's."""
        self._running.close()

    def make_database(self, engine: EngineName, name: str) -> str:
        """Make an empty database; returns its URL for a synchronous driver; raises NoServer.

        A server that did not start once is not tried again, and raises the same for each.
        """
        if engine == "sqlite":
            return f"sqlite:///{self.folder / name}.db"
        server = self._server(engine)
        theirs = engine == "mariadb" and self._mariadb_url
        name = f"freshledger_{os.getpid()}_{name}" if theirs else name
        _administer(server, f"CREATE DATABASE {name}")
        if theirs:
            self._running.callback(_administer, server, f"DROP DATABASE IF EXISTS {name}")
        return server.set(database=name).render_as_string(hide_password=False)

    def _server(self, engine: EngineName) -> URL:
        with self._gates[engine]:
            if failure := self._failed.get(engine):
                raise failure
            if engine not in self._started:
                try:
                    self._started[engine] = _START[engine](self)
                except Exception as failure:
                    self._failed[engine] = failure
                    raise
            return self._started[engine]

    def _start_postgresql(self) -> URL:
        server = self._running.enter_context(EmbeddedServer(self.folder / "postgresql"))
        return make_url(server.url).set(drivername="postgresql+psycopg")

    def _start_replicated(self) -> URL:
        return self._running.enter_context(replica.running(self.folder / "replicated"))

    def _start_mariadb(self) -> URL:
        if self._mariadb_url:
            return make_url(self._mariadb_url).set(drivername="mariadb+pymysql")
        if not mariadb.is_installed():
            raise NoServer(
                "needs a MariaDB: install mariadb-server-core, or name one with --mariadb URL"
            )
        return self._running.enter_context(mariadb.running(self.folder / "mariadb"))


def _administer(server: URL, command: str) -> None:
    admin = create_engine(server, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(command))


_START: dict[EngineName, Callable[[Servers], URL]] = {
    "postgresql": Servers._start_postgresql,  # noqa: SLF001 - its own
    "replicated": Servers._start_replicated,  # noqa: SLF001 - its own
    "mariadb": Servers._start_mariadb,  # noqa: SLF001 - its own
}
