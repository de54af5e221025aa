"""What an old open snapshot costs: while it stands, no dead row version can be removed.

    python -m benchmarks.open_snapshot [--seconds 8] [--rounds 3]

Rounds with and without a REPEATABLE READ snapshot that somebody in psql holds open take turns, on
an embedded server of their own. In each, writers edit the transactions of a ledger's first page;
then the page is read by the API, and looked up alone (304). Blocks touched are exact also where
the machine has other work.
"""

import asyncio
import json
import random
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from uuid import uuid4

import asyncpg
import click
from quart.testing import QuartClient

from freshledger.app import create_app
from freshledger.embedded import EmbeddedServer
from freshledger.settings import Settings
from freshledger.web.context import hash_secret

WRITERS, EDITED, ROWS, READ_SECONDS = 4, 50, 5000, 2.0

FILL = """
WITH wallet AS (INSERT INTO wallets (ledger_id, name) VALUES ($1, 'Main') RETURNING id)
INSERT INTO transactions (ledger_id, wallet_id, group_key, identity, occurred_at, type, asset, amount)
SELECT $1, id, 'g' || n, 'i' || n, timestamptz '2026-01-01' + n * interval '1 min', 'receive', 'BTC', n
FROM wallet, generate_series(1, $2::int) n
"""
NEWEST = (
    "SELECT id FROM transactions WHERE ledger_id = $1 ORDER BY occurred_at DESC, id DESC LIMIT $2"
)
EDIT = "UPDATE transactions SET note = $3 WHERE ledger_id = $1 AND id = $2"
HEAD = "SELECT version FROM heads WHERE ledger_id = $1"
DEAD = """
SELECT sum(n_dead_tup) FILTER (WHERE relname = 'heads') AS heads,
       sum(n_dead_tup) FILTER (WHERE relname = 'transactions') AS transactions
FROM pg_stat_user_tables
"""


@dataclass(frozen=True)
class Books:
    """A ledger with rows, and the token of a program that reads it."""

    ledger_id: int
    newest: list[int]
    token: str

    @property
    def page(self) -> str:
        """The address of its first page."""
        return f"/api/v1/ledgers/{self.ledger_id}/transactions?limit={EDITED}"


@dataclass(frozen=True)
class Round:
    """What one round measured: per second, and the dead versions at its end."""

    writes: float
    last_writes: float
    pages: float
    look_ups: float
    head_blocks: float
    page_blocks: float
    versions: int
    dead: str


async def make_books(connection: asyncpg.Connection) -> Books:
    """Make a user, a ledger with ROWS transactions and a token, straight in the database."""
    ledger = await connection.fetchval("INSERT INTO ledgers (name) VALUES ('Books') RETURNING id")
    user = await connection.fetchval(
        "INSERT INTO users (email, name) VALUES (gen_random_uuid() || '@example.org', '') RETURNING id"
    )
    await connection.execute("INSERT INTO members VALUES ($1, $2, 'owner')", ledger, user)
    await connection.execute(FILL, ledger, ROWS)
    token = f"fl_{ledger}_{uuid4().hex}"
    await connection.execute(
        "INSERT INTO tokens (ledger_id, user_id, scope, token_hash) VALUES ($1, $2, 'read', $3)",
        ledger,
        user,
        hash_secret(token),
    )
    newest = [row["id"] for row in await connection.fetch(NEWEST, ledger, EDITED)]
    return Books(ledger, newest, token)


async def write(url: str, books: Books, seconds: float) -> list[float]:
    """Edit the newest rows one by one until the time is over; return when each was committed."""
    connection, done = await asyncpg.connect(url), []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        row = random.choice(books.newest)
        await connection.execute(EDIT, books.ledger_id, row, f"note {len(done)}")
        done.append(time.perf_counter())
    await connection.close()
    return done


async def per_second(act: Callable[[], Awaitable[None]]) -> float:
    """Do it again and again for READ_SECONDS; return how often a second."""
    count, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < READ_SECONDS:
        await act()
        count += 1
    return count / (time.perf_counter() - begin)


async def read(client: QuartClient, books: Books) -> tuple[float, float]:
    """Return pages a second, and look-ups alone, which answer 304."""
    headers = {"Authorization": f"Bearer {books.token}"}
    tag = (await client.get(books.page, headers=headers)).headers["ETag"]

    async def ask(status: int, more: dict[str, str]) -> None:
        answer = await client.get(books.page, headers=headers | more)
        if answer.status_code != status:
            raise click.ClickException(f"the page answered {answer.status_code}, not {status}")

    pages = await per_second(lambda: ask(200, {}))
    return pages, await per_second(lambda: ask(304, {"If-None-Match": tag}))


async def blocks(connection: asyncpg.Connection, query: str, *values: int) -> int:
    """Return how many blocks of the server's memory and disk a query touches."""
    said = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}", *values)
    plan = json.loads(said)[0]["Plan"]
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


@asynccontextmanager
async def old_snapshot(url: str, *, held: bool) -> AsyncIterator[None]:
    """Hold a snapshot that somebody in psql has taken, or none."""
    if not held:
        yield
        return
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        await connection.execute("SELECT count(*) FROM ledgers")
        yield
    finally:
        await connection.close()


async def run_round(
    url: str, client: QuartClient, books: Books, *, held: bool, seconds: float
) -> Round:
    """Start from clean tables, write, then read."""
    connection = await asyncpg.connect(url)
    await connection.execute("VACUUM (ANALYZE) heads")
    await connection.execute("VACUUM (ANALYZE) transactions")
    async with old_snapshot(url, held=held):
        written = await asyncio.gather(*(write(url, books, seconds) for _ in range(WRITERS)))
        times = sorted(time_ for one in written for time_ in one)
        last = [one for one in times if one > times[-1] - seconds / 4]
        pages, look_ups = await read(client, books)
        head = await blocks(connection, HEAD, books.ledger_id)
        page = await blocks(connection, NEWEST, books.ledger_id, EDITED)
        await connection.execute("SELECT pg_stat_force_next_flush()")
        dead = await connection.fetchrow(DEAD)
    await connection.close()
    said = f"{dead['heads']:,} / {dead['transactions']:,}"
    return Round(
        writes=len(times) / seconds,
        last_writes=len(last) / (seconds / 4),
        pages=pages,
        look_ups=look_ups,
        head_blocks=head,
        page_blocks=page,
        versions=len(times),
        dead=said,
    )


def table(free: list[Round], held: list[Round]) -> None:
    """Print the medians of both kinds of round, and their ratios."""
    click.echo(f"{'':28}{'no snapshot':>12}{'old snapshot':>14}{'ratio':>8}")
    names = {
        "writes": "writes a second",
        "last_writes": "in the last quarter",
        "pages": "API pages a second",
        "look_ups": "look-ups (304) a second",
        "head_blocks": "blocks, to find the version",
        "page_blocks": "blocks, for 50 newest rows",
    }
    for name, said in names.items():
        without, with_ = (median(getattr(one, name) for one in kind) for kind in (free, held))
        click.echo(f"{said:28}{without:12,.0f}{with_:14,.0f}{with_ / without:8.2f}")
    versions = [int(median(one.versions for one in kind)) for kind in (free, held)]
    click.echo(f"{'versions in a round':28}{versions[0]:12,}{versions[1]:14,}")
    click.echo("dead versions of heads / transactions at the end of each round:")
    for said, kind in (("no snapshot", free), ("old snapshot", held)):
        click.echo(f"  {said}: {'; '.join(one.dead for one in kind)}")


async def measure(folder: Path, rounds: int, seconds: float) -> None:
    """Run the rounds by turns on a server in `folder`."""
    server = EmbeddedServer(folder / "server")
    await asyncio.to_thread(server.start)
    try:
        app = create_app(Settings(data_dir=folder, database_url=server.url))
        async with app.test_app():
            connection = await asyncpg.connect(server.url)
            books = await make_books(connection)
            await connection.close()
            found: dict[bool, list[Round]] = {False: [], True: []}
            for number in range(2 * rounds):
                held = bool(number % 2)
                client = app.test_client()
                one = await run_round(server.url, client, books, held=held, seconds=seconds)
                found[held].append(one)
        table(found[False], found[True])
    finally:
        await asyncio.to_thread(server.stop)


@click.command()
@click.option("--rounds", default=3, show_default=True, help="Of each kind.")
@click.option("--seconds", default=8.0, show_default=True, help="Of edits in each round.")
def main(rounds: int, seconds: float) -> None:
    """Measure what an old open snapshot costs those who read and write."""
    with tempfile.TemporaryDirectory(prefix="freshledger-bench-") as folder:
        Path(folder).chmod(0o711)  # the account that PostgreSQL runs as passes through
        asyncio.run(measure(Path(folder), rounds, seconds))


if __name__ == "__main__":
    main()
