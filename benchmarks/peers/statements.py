"""What freshledger sends PostgreSQL for its list, as it sends it: recorded while it answers.

So the bare handler and pgbench follow whenever the statements change.
"""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Engine, event
from sqlalchemy.pool import Pool

from freshledger.app import create_app
from freshledger.settings import Settings

READING = ("SELECT", "WITH")
"""A token's last use is written once a minute, apart from the request."""

HTTP_OK, HTTP_NOT_MODIFIED = 200, 304


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement with $1, $2, … and the values that it was sent with."""

    text: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was sent for the list, and for the same list again, unchanged (304)."""

    page: tuple[Statement, ...]
    unchanged: tuple[Statement, ...]


async def record(url: str, path: str, token: str) -> Recorded:
    """Ask freshledger, in this process, for `path` on the database at `url`, twice."""
    with tempfile.TemporaryDirectory(prefix="freshledger-bench-") as folder:
        app = create_app(Settings(data_dir=Path(folder), database_url=url))
        headers = {"Authorization": f"Bearer {token}"}
        async with app.test_app():
            client = app.test_client()
            tag = (await client.get(path, headers=headers)).headers["ETag"]
            with _listening() as page:
                answer = await client.get(path, headers=headers)
            with _listening() as unchanged:
                again = await client.get(path, headers=headers | {"If-None-Match": tag})
    if (answer.status_code, again.status_code) != (HTTP_OK, HTTP_NOT_MODIFIED):
        raise click.ClickException(f"{path}: {answer.status_code}, {again.status_code}")
    return Recorded(_reads(page), _reads(unchanged))


@contextmanager
def _listening() -> Iterator[list[Statement]]:
    """Collect what is sent: the driver tells of `database.fetch`, SQLAlchemy of all else."""
    sent: list[Statement] = []

    def note_fetch(logged: Any) -> None:  # noqa: ANN401 - the driver's
        sent.append(Statement(logged.query, tuple(logged.args)))

    def note_execution(*heard: Any) -> None:  # noqa: ANN401 - connection, cursor, statement, values, …
        sent.append(Statement(heard[2], tuple(heard[3])))

    hooks = (
        (Engine, "before_cursor_execute", note_execution),
        (Pool, "checkout", lambda lent, *_: lent.driver_connection.add_query_logger(note_fetch)),
        (
            Pool,
            "checkin",
            lambda lent, *_: lent and lent.driver_connection.remove_query_logger(note_fetch),
        ),
    )
    for hook in hooks:
        event.listen(*hook)
    try:
        yield sent
    finally:
        for hook in hooks:
            event.remove(*hook)


def _reads(sent: Iterable[Statement]) -> tuple[Statement, ...]:
    return tuple(one for one in sent if one.text.startswith(READING))
