"""The three copies of a row between the disk and the page, for any engine and URL.

Truth: what a new transaction is answered. Wire: what the connection that a request reads with
is answered. Page: what the request showed. Truth and wire are asked here; the page is its own.
"""

import re
import threading
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import URL, Connection, Dialect, Engine, create_engine, event, text
from sqlalchemy.engine.interfaces import DBAPICursor, ExecutionContext
from sqlalchemy.pool import NullPool, PoolProxiedConnection

from freshledger.database import AnySelect

AnyRows = tuple[tuple[Any, ...], ...]

WHO: Mapping[str, str] = {
    "postgresql": "SELECT 'backend ' || pg_backend_pid() || CASE WHEN pg_is_in_recovery()"
    " THEN ' of a replica' ELSE '' END || ', in a transaction since ' || now()",
    "mysql": "SELECT CONCAT('connection ', CONNECTION_ID())",
    "mariadb": "SELECT CONCAT('connection ', CONNECTION_ID())",
    "sqlite": "SELECT 'file ' || coalesce(nullif(file, ''), 'in memory') FROM pragma_database_list",
}
"""What a connection is known by, per dialect; of others only the dialect is told."""


@dataclass(frozen=True)
class Sent:
    """A statement that a request sent, and by which connection."""

    sql: str
    parameters: str
    backend: str


@dataclass
class Heard:
    """What a request sent to the database, and what its connection answered beside it.

    `wire` is None where the request read nothing of the table, and `thread` is who read it.
    """

    sent: list[Sent] = field(default_factory=list)
    wire: AnyRows | None = None
    thread: str = ""


_heard: ContextVar[Heard | None] = ContextVar("heard", default=None)


def start_hearing() -> Heard:
    """Collect what this thread or task, and those it starts, send from now on."""
    heard = Heard()
    _heard.set(heard)
    return heard


def heard() -> Heard:
    """Return what was collected since; nothing where it was not begun."""
    return _heard.get() or Heard()


def reads(statement: str, relation: str) -> bool:
    """Tell whether it is a SELECT that names the relation: a table, or a view."""
    asks = re.match(r"\s*(SELECT|WITH)\b", statement, re.IGNORECASE)
    return bool(asks and re.search(rf"\b{re.escape(relation)}\b", statement, re.IGNORECASE))


def watch(question: AnySelect, *, table: str) -> Callable[[], None]:
    """Listen to all engines of this process; after a SELECT of `table`, ask its connection too.

    A page that is read from a view names that as its table. The question goes over the driver's own connection, so that neither session nor pool see
    it. Returns what ends the watch.
    """

    def executed(
        connection: Connection,
        _cursor: DBAPICursor,
        statement: str,
        parameters: object,
        _context: ExecutionContext | None,
        _many: bool,  # noqa: FBT001 - SQLAlchemy's signature
    ) -> None:
        note(connection.connection, connection.dialect, statement, parameters, question, table)

    event.listen(Engine, "after_cursor_execute", executed)
    return lambda: event.remove(Engine, "after_cursor_execute", executed)


def note(
    connection: PoolProxiedConnection,
    dialect: Dialect,
    statement: str,
    parameters: object,
    question: AnySelect,
    table: str,
) -> None:
    """Collect a statement that a connection was sent; no engine hears what goes by the driver."""
    now = _heard.get()
    if now is None:
        return
    who = WHO.get(dialect.name)
    backend = str(_ask(connection, who)[0][0]) if who else f"a connection of {dialect.name}"
    now.sent.append(Sent(" ".join(statement.split()), repr(parameters), backend))
    if reads(statement, table):
        now.thread = threading.current_thread().name
        now.wire = _ask(connection, str(question.compile(dialect=dialect)))


def hear_for(other: Heard) -> None:
    """Collect what this thread sends for a request that waits for it in another one."""
    _heard.set(other)


def _ask(connection: PoolProxiedConnection, sql: str) -> AnyRows:
    cursor = connection.cursor()
    try:
        cursor.execute(sql)
        return tuple(tuple(row) for row in cursor.fetchall())
    finally:
        cursor.close()


def read_truth(url: URL | str, question: AnySelect) -> tuple[AnyRows, str]:
    """Return what a new transaction on a new connection is answered, and the connection's name."""
    engine = create_engine(url, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            rows = tuple(tuple(row) for row in connection.execute(question))
            name = connection.dialect.name
            who = WHO.get(name)
            by = connection.scalar(text(who)) if who else f"a connection of {name}"
            return rows, str(by)
    finally:
        engine.dispose()
