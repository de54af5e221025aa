"""The engines and session makers: one that reads, one that writes."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from functools import lru_cache
from operator import itemgetter
from typing import Any, cast

import asyncpg
import msgspec
from sqlalchemy import URL, BindParameter, Dialect, Row, Select, event, make_url
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi, PGDialect_asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.pool import NullPool

from freshledger.errors import AppError, Busy, Invalid
from freshledger.settings import Settings

AnyRow = Row[*tuple[Any, ...]]
AnySelect = Select[*tuple[Any, ...]]
"""A row and a statement whose columns are many."""

Executor = AsyncSession | AsyncConnection
"""What runs a statement: a request's session, or a connection where there is no more to do."""

PROGRAM = "program"
"""The actor of what the program writes for nobody, the end of an interrupted import for example."""

_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")


def async_url(url: str) -> URL:
    """Return `url` (postgresql://…) for the asyncpg driver; raises Invalid if it is another."""
    parsed = make_url(url)
    if parsed.get_backend_name() not in {"postgresql", "postgres"}:
        raise Invalid(
            "FRESHLEDGER_DATABASE_URL must begin with postgresql://", field="database_url"
        )
    return parsed.set(drivername="postgresql+asyncpg")


def create_engine(url: str, **options: Any) -> AsyncEngine:  # noqa: ANN401 - SQLAlchemy's own options
    """Make an engine whose JSON is exact: numbers with a point are Decimals, never floats."""
    engine = create_async_engine(
        async_url(url),
        json_serializer=lambda value: _encoder.encode(value).decode(),
        json_deserializer=_decoder.decode,
        **options,
    )
    event.listen(engine.sync_engine, "do_connect", _connect)
    return engine


_AWAY = (OSError, asyncpg.InternalClientError)
"""What connecting raises where the server is away, or goes while it lets us in."""

_UNREACHABLE = "the database cannot be reached; try again in a moment"


def _connect(dialect: Dialect, _record: object, arguments: list[Any], named: dict[str, Any]) -> Any:  # noqa: ANN401 - the driver's
    try:
        return dialect.connect(*arguments, **named)
    except _AWAY as error:
        raise Busy(_UNREACHABLE) from error


def _bound_transactions(engine: AsyncEngine, seconds: float) -> None:
    """Let the server end transactions that last longer, where it can: since PostgreSQL 17."""
    setting = f"SET transaction_timeout = {int(seconds * 1000)}"

    async def bound(connection: Any) -> None:  # noqa: ANN401 - the driver's
        if connection.get_server_version() >= (17,):
            await connection.execute(setting)

    @event.listens_for(engine.sync_engine, "connect")
    def _connected(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's
        try:
            connection.run_async(bound)
        except (*_AWAY, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise Busy(_UNREACHABLE) from error


class Database:
    """The pools of one process: `read` and `write` make its sessions.

    A reading session's connection refuses to write and is in AUTOCOMMIT: one statement is
    one snapshot, without a BEGIN. A writing one is READ COMMITTED. Neither expires its
    objects at commit: a response is rendered from what its own transaction read.
    """

    def __init__(self, settings: Settings, url: str) -> None:
        self.url = url
        self._reading = self._engine(settings, read_only=True)
        self._writing = self._engine(settings, read_only=False)
        self._asking = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        self.commit_seconds = settings.statement_timeout + 5
        self.read: async_sessionmaker[AsyncSession] = async_sessionmaker(
            self._reading, expire_on_commit=False
        )
        self.write: async_sessionmaker[AsyncSession] = async_sessionmaker(
            self._writing, expire_on_commit=False
        )

    def _engine(self, settings: Settings, *, read_only: bool) -> AsyncEngine:
        seconds = {
            "statement_timeout": settings.statement_timeout,
            "lock_timeout": settings.lock_timeout,
            "idle_in_transaction_session_timeout": settings.idle_in_transaction_timeout,
        }
        server = {name: str(int(value * 1000)) for name, value in seconds.items()}
        server |= {"application_name": "freshledger", "jit": "off", "timezone": "UTC"}
        if read_only:
            server["default_transaction_read_only"] = "on"
        else:
            server["freshledger.actor"] = PROGRAM
        engine = create_engine(
            self.url,
            isolation_level="AUTOCOMMIT" if read_only else "READ COMMITTED",
            pool_size=settings.pool_size,
            max_overflow=0,
            pool_timeout=settings.pool_timeout,
            pool_use_lifo=True,
            connect_args={
                "server_settings": server,
                "timeout": 10,
                "max_cacheable_statement_size": 0,  # a long one too is prepared once
            },
        )
        if read_only:
            _bound_transactions(engine, settings.transaction_timeout)
        return engine

    def looking(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Take a reading connection for one statement, without a session."""
        return self._reading.connect()

    def asking(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Open a connection of no pool, to ask what became of one that was lost."""
        return self._asking.connect()

    @property
    def checked_out(self) -> int:
        """How many connections are in use at this moment, of both pools."""
        pools = (self._reading.pool, self._writing.pool)
        return sum(pool.checkedout() for pool in pools)  # type: ignore[attr-defined]

    async def dispose(self) -> None:
        """Close every connection that is not in use."""
        await self._reading.dispose()
        await self._writing.dispose()


RETRYABLE = {"40001", "40P01"}
"""serialization_failure and deadlock_detected: the same work again will do."""

_BUSY = {
    "55P03": "somebody else is changing the same rows; try again in a moment",
    "57014": "it took too long and was stopped; narrow it down, or try again",
    "53300": "the database has no free connection; try again in a moment",
    "40001": "others kept changing the same rows; try again in a moment",
    "40P01": "others kept changing the same rows; try again in a moment",
}


def sqlstate(error: DBAPIError) -> str:
    """Return the error's SQLSTATE, '' where it never reached the server."""
    return getattr(error.orig, "sqlstate", None) or ""


def is_lost(error: Exception) -> bool:
    """Tell whether the connection broke, or nothing came back: a COMMIT may have been done."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or sqlstate(error).startswith(("08", "57P"))
    return isinstance(error, TimeoutError)


def is_retryable(error: Exception) -> bool:
    """Tell whether a transaction that failed before COMMIT may simply be run again.

    A connection that was lost took its transaction with it; the pool then drops all its
    connections of that age, so that the next try has a new one.
    """
    if not isinstance(error, DBAPIError):
        return False
    return error.connection_invalidated or sqlstate(error) in RETRYABLE or _met_a_migration(error)


def _met_a_migration(error: DBAPIError) -> bool:
    """Tell whether a migration made the prepared statements stale; they are dropped by now."""
    return isinstance(error.orig, AsyncAdapt_asyncpg_dbapi.InvalidCachedStatementError)


def refusal(error: Exception) -> AppError | None:
    """Return what to tell the user if the database was only busy or away; else None.

    Text with a NUL, which PostgreSQL cannot hold, is refused here for all that takes text.
    """
    if isinstance(error, PoolTimeout):
        return Busy("all database connections are in use; try again in a moment")
    if isinstance(error, DBAPIError):
        state = sqlstate(error)
        if is_lost(error):
            return Busy(_LOST)
        if _met_a_migration(error):
            return Busy("the database has just been migrated; try again")
        if state in _BUSY:
            return Busy(_BUSY[state])
        if state == _UNSTORABLE:
            return Invalid("this text has a NUL character; take it out")
    return None


_UNSTORABLE = "22021"
"""character_not_in_repertoire."""

_LOST = "the connection to the database was lost; try again in a moment"


Fields = Mapping[str, Any]
"""A row by the names of its columns."""

_DIALECT: Dialect = PGDialect_asyncpg()  # type: ignore[no-untyped-call]


async def fetch(
    source: Executor, statement: AnySelect, values: Mapping[str, Any]
) -> Sequence[Fields]:
    """Read the rows of a statement that is sent often, as the driver gives them.

    SQLAlchemy takes longer over such a statement than the driver and the server together. Here it
    lends the connection, writes the text once, and tells what an error means. A transaction
    begins with its first statement, and that one it sends itself. Nothing is flushed before.
    """
    text, places = _sendable(statement)
    connection = await source.connection() if isinstance(source, AsyncSession) else source
    adapted = _adapted(connection.sync_connection)
    driver = adapted.driver_connection
    if not adapted.autocommit and not driver.is_in_transaction():
        found = await connection.execute(statement, values)
        return cast("Sequence[Fields]", found.mappings().all())
    given = [place(values) for place in places]
    try:
        return cast("Sequence[Fields]", await driver.fetch(text, *given))
    except BaseException as error:  # also where one is cancelled: the connection is then busy
        await connection.run_sync(_refuse, error, text)
        raise


@lru_cache(maxsize=1024)
def _sendable(statement: AnySelect) -> tuple[str, list[Callable[[Mapping[str, Any]], Any]]]:
    """Return a statement's text, and what finds the value of each of its places.

    Raises TypeError for columns that SQLAlchemy would convert: the driver gives them as they are.
    """
    for column in statement.selected_columns:
        if column.type.dialect_impl(_DIALECT).result_processor(_DIALECT, None):
            raise TypeError(f"{column}: SQLAlchemy converts it, and the driver would not")
    compiled: Any = statement.compile(dialect=_DIALECT)
    return str(compiled), [_place(compiled.binds[name]) for name in compiled.positiontup or ()]


def _place(bind: BindParameter[Any]) -> Callable[[Mapping[str, Any]], Any]:
    if not bind.required:
        return lambda _: bind.value
    convert = bind.type.dialect_impl(_DIALECT).bind_processor(_DIALECT)
    return (lambda values: convert(values[bind.key])) if convert else itemgetter(bind.key)


def _adapted(connection: Any) -> Any:  # noqa: ANN401 - SQLAlchemy's, around the driver's
    return connection.connection.dbapi_connection


def _refuse(connection: Any, error: BaseException, text: str) -> None:  # noqa: ANN401 - SQLAlchemy's
    """Raise what SQLAlchemy raises where its own cursor fails; what is lost leaves the pool."""
    try:
        _adapted(connection)._handle_exception(error)  # noqa: SLF001 - no other name is there
    except BaseException as known:  # noqa: BLE001 - it is raised again
        connection._handle_dbapi_exception(known, text, None, None, None)  # noqa: SLF001 - likewise
