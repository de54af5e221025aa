"""A PostgreSQL with a streaming replica, both in a folder of their own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, make_url

from freshledger.embedded import EmbeddedServer
from freshledger.embedded.programs import account_for, give, reachable_installation, run


@contextmanager
def running(folder: Path) -> Iterator[URL]:
    """Start both; yields one address of the two, which leads to the primary.

    With `target_session_attrs=standby` in its query the same address leads to the replica.
    """
    with EmbeddedServer(folder / "primary") as primary:
        first = make_url(primary.url)
        _copy(str(first.query["host"]), folder / "replica" / "pg")
        with EmbeddedServer(folder / "replica") as replica:
            hosts = [make_url(server.url).query for server in (primary, replica)]
            both = {key: ",".join(str(host[key]) for host in hosts) for key in ("host", "port")}
            query = both | {"target_session_attrs": "primary"}
            yield first.set(drivername="postgresql+psycopg", query=query)


def _copy(host: str, cluster: Path) -> None:
    """Copy the primary into a folder in which a server will follow it."""
    cluster.mkdir(parents=True, mode=0o700)
    account = account_for(cluster.parent)
    give(cluster, account)
    program = reachable_installation(account) / "bin/pg_basebackup"
    where = ("-h", host, "-U", "postgres", "-D", str(cluster))
    run(program, *where, "-R", "-c", "fast", "--no-sync", account=account)
