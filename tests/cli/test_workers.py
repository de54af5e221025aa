"""serve --workers, as a process manager meets it: real processes, real signals."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection, IncompleteRead
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import psutil
import pytest

from books import Books, make_books
from cli.conftest import serving
from processes import postmasters

SECONDS = 30
"""How long a test waits for what it expects to come at once."""


def workers_of(process: Any) -> list[psutil.Process]:
    """Return the living workers of a `serve`."""
    return [
        child
        for child in psutil.Process(process.pid).children()
        if child.status() != psutil.STATUS_ZOMBIE and "worker" in child.cmdline()
    ]


def answers(address: str) -> int:
    """Ask on a connection of its own; returns the status."""
    return httpx.get(f"{address}/nowhere").status_code


def line_with(stream: Any, words: str) -> str:
    """Read on until a line has those words."""
    for line in stream:
        if words in line:
            return line
    raise AssertionError(f"it never said {words!r}")


@contextmanager
def asking(address: str) -> Iterator[list[Any]]:
    """Ask again and again, each time on a new connection; yields what did not answer."""
    over, failed = threading.Event(), []

    def ask() -> None:
        while not over.is_set():
            try:
                if (status := answers(address)) != 404:
                    failed.append(status)
            except httpx.ReadError as error:  # accepted by the one that was killed
                failed.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield failed
    finally:
        over.set()
        thread.join()


def gone(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Wait for processes that are not our children to end; returns those that did not."""
    return psutil.wait_procs(processes, timeout=SECONDS)[1]


@contextmanager
def two_workers(*arguments: str | Path, url: str | None = None) -> Iterator[tuple[Any, str]]:
    options = ("--workers", "2", *arguments)
    with serving(*options, url=url, stderr=subprocess.PIPE) as (process, address):
        yield process, address


def test_one_that_is_killed_is_started_again_alone(
    own_database: str, record_testsuite_property: Any
) -> None:
    with two_workers(url=own_database) as (process, address):
        before = workers_of(process)
        assert len(before) == 2
        begun = time.monotonic()
        before[0].kill()
        before[0].wait(SECONDS)
        with asking(address) as failed:
            said = line_with(process.stderr, "serves again")
            seconds = time.monotonic() - begun
        after = workers_of(process)
        assert failed == []
        assert len(after) == 2
        assert before[1] in after
        assert before[0] not in after
        new = next(one for one in after if one != before[1])
        assert said.endswith(f"serves again (process {new.pid})\n")
        before[1].suspend()  # now only the new one can answer
        assert answers(address) == 404
        before[1].resume()
    record_testsuite_property("seconds from kill -9 of a worker to the next", round(seconds, 2))


def test_a_closed_worker_is_started_again_as_well(own_database: str) -> None:
    with two_workers(url=own_database) as (process, _address):
        workers_of(process)[0].terminate()
        assert "ended with code 0" in process.stderr.readline()
        line_with(process.stderr, "serves again")
        assert len(workers_of(process)) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_ends_cleanly_with_its_group(data_dir: Path, number: int) -> None:
    with two_workers("--data-dir", data_dir) as (process, address):
        workers = workers_of(process)
        with httpx.Client() as client:  # its connection stays open
            assert client.get(f"{address}/nowhere").status_code == 404
            os.killpg(process.pid, number)
            process.wait(SECONDS)
        assert process.returncode == 0
        assert gone(workers) == []
        assert postmasters(data_dir) == []
        assert process.stderr.read() == ""


def test_one_that_does_not_end_is_killed(data_dir: Path) -> None:
    with two_workers("--data-dir", data_dir) as (process, _address):
        stopped, other = workers_of(process)
        stopped.suspend()
        process.terminate()
        process.wait(SECONDS)
        assert gone([stopped, other]) == []
        assert postmasters(data_dir) == []


def test_no_worker_outlives_its_parent(own_database: str) -> None:
    with two_workers(url=own_database) as (process, address):
        workers = workers_of(process)
        process.kill()
        process.wait(SECONDS)
        assert gone(workers) == []
        with pytest.raises(httpx.ConnectError):
            answers(address)


def test_more_workers_than_the_database_lets_in(run: Any, own_database: str) -> None:
    failed = run("serve", "--port", "0", "--workers", "9", url=own_database, code=1)
    assert failed.stderr == (
        "error: --workers 9 need 207 connections (FRESHLEDGER_POOL_SIZE is 10) and the database has"
        " 187 for them: at most 8 workers, a smaller FRESHLEDGER_POOL_SIZE, or more max_connections\n"
    )


def test_workers_that_never_come_up(run: Any, data_dir: Path, own_database: str) -> None:
    folder = data_dir / "exports"  # the parent has no business there
    folder.mkdir(parents=True)
    (folder / "loop").symlink_to("loop")
    failed = run("serve", "--port", "0", "--workers", "2", url=own_database, code=1)
    assert failed.stderr.endswith("error: no worker came up; the reason is above\n")
    assert "before it served; it is started again in 0.5 s" in failed.stderr
    assert "Too many levels of symbolic links" in failed.stderr
    assert failed.stdout == ""


class Stream:
    """A ledger's stream as a browser has it; `last` is the version it goes on from."""

    def __init__(self, address: str, books: Books, *, last: int | None = None) -> None:
        place = urlsplit(address)
        self._connection = HTTPConnection(place.hostname, place.port, timeout=SECONDS)
        headers = {"Cookie": f"freshledger={books.session_token}"}
        if last is not None:
            headers["Last-Event-ID"] = str(last)
        self._connection.request("GET", f"{books.path}/live", headers=headers)
        self.port = self._connection.sock.getsockname()[1]
        self._answer = self._connection.getresponse()
        assert self._answer.status == 200

    def next(self) -> tuple[str, dict[str, Any]]:
        """The next event that is no beat: its name and data."""
        fields: dict[str, str] = {}
        while line := self._answer.readline().decode().rstrip():
            name, _, value = line.partition(": ")
            fields[name] = value
        if fields.get("event", "beat") == "beat":
            return self.next()
        return fields["event"], json.loads(fields["data"])

    def rest(self) -> bytes:
        """What still came, up to the end."""
        try:
            return self._answer.read()
        except (IncompleteRead, ConnectionError) as error:
            return getattr(error, "partial", b"")

    def close(self) -> None:
        self._connection.close()


def holder_of(stream: Stream, workers: list[psutil.Process]) -> psutil.Process:
    """Return the worker at the other end of a stream."""
    return next(
        worker
        for worker in workers
        for connection in worker.net_connections("tcp")
        if connection.raddr and connection.raddr.port == stream.port
    )


async def write(psql: asyncpg.Connection, books: Books, name: str) -> None:
    insert = "INSERT INTO labels (ledger_id, name) VALUES ($1, $2)"
    await psql.execute(insert, books.ledger_id, name)


async def test_the_streams_of_a_killed_worker_go_on_with_another(own_database: str) -> None:
    psql = await asyncpg.connect(own_database)
    books = await make_books(psql)
    with two_workers(url=own_database) as (process, address):
        workers = workers_of(process)
        with closing(Stream(address, books)) as stream:
            assert stream.next()[0] == "ready"
            await write(psql, books, "heard")
            name, heard = stream.next()
            assert name == "change"
            holder = holder_of(stream, workers)
            holder.kill()
            assert stream.rest() == b""
        for missed in ("one", "two", "three"):
            await write(psql, books, missed)
        with closing(Stream(address, books, last=heard["version"])) as stream:
            assert holder_of(stream, workers_of(process)) != holder
            name, caught_up = stream.next()
            assert (name, caught_up["since"]) == ("change", heard["version"])
            assert caught_up["version"] == heard["version"] + 3
            assert len(caught_up["changes"]) == 3
            await write(psql, books, "heard again")
            name, again = stream.next()
            assert (name, again["since"]) == ("change", caught_up["version"])
    await psql.close()


async def test_open_streams_end_with_the_program(own_database: str) -> None:
    psql = await asyncpg.connect(own_database)
    books = await make_books(psql)
    await psql.close()
    with two_workers(url=own_database) as (process, address), ExitStack() as stack:
        streams = [stack.enter_context(closing(Stream(address, books))) for _ in range(20)]
        for stream in streams:
            assert stream.next()[0] == "ready"
        workers = workers_of(process)
        assert {holder_of(stream, workers) for stream in streams} == set(workers)
        process.terminate()
        for stream in streams:
            assert stream.next() == ("closed", {"reason": "shutdown"})
            assert stream.rest() == b""
        process.wait(SECONDS)
        assert process.returncode == 0
        assert process.stderr.read() == ""
        assert gone(workers) == []


HEAD = "wallet,occurred_at,type,status,asset,amount,group_key,identity,labels\n"
ROW = ",2024-01-31T12:00:00Z,receive,confirmed,ETH,1.5,a,a,Rent\n"


async def test_an_import_is_cancelled_by_another_process(own_database: str, data_dir: Path) -> None:
    psql = await asyncpg.connect(own_database)
    books = await make_books(psql)
    headers = {"Cookie": f"freshledger={books.session_token}", "X-CSRF-Token": books.csrf_token}
    place = {"url": own_database}
    with (
        serving("--data-dir", data_dir, **place) as (_, one),
        serving("--data-dir", data_dir, **place) as (_, two),
    ):
        async with (
            httpx.AsyncClient(base_url=one + books.api, headers=headers) as works,
            httpx.AsyncClient(base_url=two + books.api, headers=headers) as cancels,
        ):
            files = {"files": ("export.csv", HEAD + ROW)}
            made = await works.post("/imports", data={"wallet": "Main"}, files=files)
            path = f"/imports/{made.json()['id']}"
            async with psql.transaction():  # be another import into that wallet
                await psql.execute(
                    "SELECT pg_advisory_xact_lock(hashtextextended("
                    "'import into ' || ledger_id || '/' || id, 0)) FROM wallets"
                )
                assert (await works.post(f"{path}/commit")).status_code == 202
                assert (await cancels.post(f"{path}/cancel")).json()["status"] == "cancelled"
            name = f"import {books.ledger_id}/{made.json()['id']}"
            async with psql.transaction():  # until nobody works on it any more
                await psql.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", name)
            assert (await works.get(path)).json()["status"] == "cancelled"
    assert await psql.fetchval("SELECT count(*) FROM transactions") == 0
    await psql.close()
