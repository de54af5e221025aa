"""What a policy of opening and closing sessions is: the same requests without one and with one.

Two small apps on a real PostgreSQL; after each request it is noted what the
database sees of the app's connection. Both read at REPEATABLE READ, MariaDB's default.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import msgspec
from flask import Flask, Response, g
from sqlalchemy import Connection, Engine, create_engine, event, select, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.servers import Servers
from freshledger.diagnosis.tables import Base, Contact, Rows, Transaction, fill, write

RECORD = files("freshledger.diagnosis") / "policy.json"

REFUSED = 400
"""The status from which on nothing is committed."""

OTHERS_MAY_PASS = 0o711
"""A folder's mode: PostgreSQL runs as another user where we are root."""


def build_without_policy(engine: Engine) -> Flask:
    """Make an app whose session is opened once, and which nobody closes."""
    app = Flask("payments")
    session = Session(engine)

    @app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        return shown(session.scalars(select(Transaction).order_by(Transaction.id)))

    @app.post("/contacts")
    def add_contact() -> str:
        session.add(Contact(name="Alice"))
        session.commit()
        return "done"

    @app.post("/failing")
    def fail() -> tuple[str, int]:
        session.add(Contact(name="Bob"))
        session.flush()
        return "refused", REFUSED

    return app


def build_with_policy(engine: Engine) -> Flask:
    """Make the same app: a session per request, committed or rolled back, and always closed."""
    app = Flask("payments")

    @app.before_request
    def open_session() -> None:
        g.session = Session(engine)

    @app.after_request
    def end_transaction(response: Response) -> Response:
        if response.status_code < REFUSED:
            g.session.commit()
        else:
            g.session.rollback()
        return response

    @app.teardown_request
    def close_session(_error: BaseException | None) -> None:
        g.session.close()

    @app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        return shown(g.session.scalars(select(Transaction).order_by(Transaction.id)))

    @app.post("/contacts")
    def add_contact() -> str:
        g.session.add(Contact(name="Alice"))
        return "done"

    @app.post("/failing")
    def fail() -> tuple[str, int]:
        g.session.add(Contact(name="Bob"))
        g.session.flush()
        return "refused", REFUSED

    return app


APPS: dict[str, Callable[[Engine], Flask]] = {
    "without": build_without_policy,
    "with": build_with_policy,
}

STEPS = ("GET /page", "write", "GET /page", "POST /contacts", "GET /page", "POST /failing",
         "POST /contacts")  # fmt: skip
"""What is asked of both apps, in order; `write` is somebody else's commit."""


class Seen(msgspec.Struct, frozen=True):
    """What pg_stat_activity says of the app's connection.

    `transaction` counts those that the connection had, 0 where none is open; `holds_snapshot`
    and `has_written` are whether it has a backend_xmin and a backend_xid.
    """

    state: str
    transaction: int
    holds_snapshot: bool
    has_written: bool
    query: str


class Step(msgspec.Struct, frozen=True):
    """One step: the app's SQL, its page, what was seen of it, and what others see.

    `during` is just before the answer leaves, `after` when it has. `isolation` is what the
    transactions that began in it said of themselves.
    """

    name: str
    status: int
    sql: tuple[str, ...]
    isolation: str
    page: Rows | None
    during: Seen | None
    after: Seen | None
    contacts: tuple[str, ...]


Demonstration = dict[str, tuple[Step, ...]]

_ACTIVITY = text(
    "SELECT state, xact_start, backend_xmin IS NOT NULL, backend_xid IS NOT NULL, query"
    " FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'payments'"
)


class _Watcher:
    """Looks at the app's one connection from another one."""

    def __init__(self, url: str) -> None:
        self.engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        self._starts: list[object] = []

    def look(self) -> Seen | None:
        """Return what is seen of it now, None before it is there."""
        with self.engine.connect() as connection:
            row = connection.execute(_ACTIVITY).one_or_none()
        if row is None:
            return None
        state, start, holds_snapshot, has_written, query = row
        if start is not None and start not in self._starts:
            self._starts.append(start)
        number = self._starts.index(start) + 1 if start is not None else 0
        return Seen(state, number, holds_snapshot, has_written, _short(query))

    def contacts(self) -> tuple[str, ...]:
        """Return the contacts that a new transaction sees."""
        with self.engine.connect() as connection:
            return tuple(connection.scalars(select(Contact.name).order_by(Contact.id)))


def _short(sql: str) -> str:
    """Return a statement on one line, without its list of columns and its parameters' types."""
    line = " ".join(sql.split())
    head, found, tail = line.partition(" FROM ")
    line = f"SELECT …{found}{tail}" if found and head.startswith("SELECT ") else line
    return line.partition(" VALUES ")[0]


@dataclass
class _Heard:
    """The app's SQL, and the isolation of the transactions that began in it."""

    sql: list[str] = field(default_factory=list)
    isolation: list[str] = field(default_factory=list)


@contextmanager
def _hearing(engine: Engine) -> Iterator[_Heard]:
    """Collect what the app sends; closes its sessions at the end."""
    heard, sessions = _Heard(), list[Session]()
    sql = heard.sql

    def began(session: Session, _transaction: object, connection: Connection) -> None:
        if connection.engine is not engine:
            return
        sessions.append(session)
        cursor = connection.connection.cursor()
        cursor.execute("SHOW transaction_isolation")
        heard.isolation.append(str(cursor.fetchall()[0][0]))
        cursor.close()

    def executed(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        sql.append(_short(statement))

    event.listen(Session, "after_begin", began)
    event.listen(engine, "begin", lambda _: sql.append("BEGIN"))
    event.listen(engine, "before_cursor_execute", executed)
    event.listen(engine, "commit", lambda _: sql.append("COMMIT"))
    event.listen(engine, "rollback", lambda _: sql.append("ROLLBACK"))
    try:
        yield heard
    finally:
        event.remove(Session, "after_begin", began)
        for session in sessions:
            session.close()


def demonstrate(url: str) -> Demonstration:
    """Take the steps with both apps, on an empty PostgreSQL database; psycopg's URL."""
    return {name: _take_steps(url, build) for name, build in APPS.items()}


def _take_steps(url: str, build: Callable[[Engine], Flask]) -> tuple[Step, ...]:
    watcher = _Watcher(url)
    Base.metadata.create_all(watcher.engine)
    with watcher.engine.connect() as connection:
        fill(connection)
    engine = create_engine(
        url, isolation_level="REPEATABLE READ", connect_args={"application_name": "payments"}
    )
    try:
        with _hearing(engine) as heard:
            app = build(engine)
            during: list[Seen | None] = []

            @app.after_request
            def look(response: Response) -> Response:
                during.append(watcher.look())
                return response

            return tuple(_take_step(app, watcher, name, heard, during) for name in STEPS)
    finally:
        engine.dispose()


def _take_step(
    app: Flask, watcher: _Watcher, name: str, heard: _Heard, during: list[Seen | None]
) -> Step:
    for collected in (heard.sql, heard.isolation, during):
        collected.clear()
    status, page = _take(app, watcher, name)
    isolation = "".join(heard.isolation).upper()
    before = during[0] if during else None
    return Step(name, status, tuple(heard.sql), isolation, page, before, watcher.look(),
                watcher.contacts())  # fmt: skip


def _take(app: Flask, watcher: _Watcher, name: str) -> tuple[int, Rows | None]:
    if name == "write":
        with watcher.engine.connect() as connection:
            write(connection)
        return 0, None
    method, path = name.split()
    answer = app.test_client().open(path, method=method)
    if method != "GET":
        return answer.status_code, None
    page = msgspec.json.decode(answer.data, type=dict[str, Rows])["transactions"]
    return answer.status_code, page


def read_record() -> Demonstration:
    """Return the steps that the documentation shows."""
    return msgspec.json.decode(RECORD.read_bytes(), type=Demonstration)


def encode(demonstration: Demonstration) -> bytes:
    """Return them as JSON, indented."""
    return msgspec.json.format(msgspec.json.encode(demonstration), indent=1) + b"\n"


def write_record() -> None:
    """Take the steps on a server of their own, and make them what the documentation shows."""
    with tempfile.TemporaryDirectory(prefix="freshledger-policy-") as folder:
        Path(folder).chmod(OTHERS_MAY_PASS)
        with Servers(Path(folder)) as servers:
            steps = demonstrate(servers.make_database("postgresql", "policy"))
    Path(str(RECORD)).write_bytes(encode(steps))
