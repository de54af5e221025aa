"""Transactions that stay open: somebody's in psql, for whom only those wait who change the same
rows; and the application's own snapshots, which the server ends.

The somebody holds on for the whole test: whoever waited would run into `lock_timeout`.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from io import BytesIO
from typing import Any

import asyncpg
import pytest
from quart import Response
from quart.datastructures import FileStorage
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from walk import Reader, paths

from freshledger.app import Freshledger, create_app
from freshledger.imports import exporting, preview
from freshledger.imports.formats.own import csv_header, csv_line
from freshledger.imports.formats.records import Movement
from freshledger.settings import Settings
from freshledger.web.session import current_session
from ledger import Ledger, let_in, link, look
from locked import until_waiting, waiting_for

BUSY = 503
MOVEMENT = Movement(
    line=0, identity="a", group_key="a", occurred_at=datetime(2026, 2, 3, tzinfo=UTC),
    type="receive", status="confirmed", asset="BTC", amount=Decimal(1),
)  # fmt: skip


class Program:
    """A program of the ledger's owner, with their token or session."""

    def __init__(self, app: Freshledger, ledger: Ledger, headers: dict[str, str]) -> None:
        self.app = app
        self.root = f"/api/v1/ledgers/{ledger.id}"
        self.headers = headers | {"If-Match": "*"}
        self.readers: list[Reader] = []

    async def ask(self, method: str, path: str, **options: Any) -> Response:
        client = self.app.test_client()
        return await client.open(self.root + path, method=method, headers=self.headers, **options)

    async def until(self, path: str, *statuses: str) -> dict[str, Any]:
        """Ask for an import until its status is one of these."""
        async with asyncio.timeout(30):
            while True:
                found = await (await self.ask("GET", path)).get_json()
                if found["status"] in statuses:
                    return found

    async def stage(self, wallet: str = "Main") -> str:
        """Upload a file of one movement into a wallet; returns the import's path."""
        lines = csv_header() + csv_line(MOVEMENT)
        file = FileStorage(BytesIO(lines.encode()), filename="export.csv")
        made = await self.ask("POST", "/imports", form={"wallet": wallet}, files={"files": file})
        path = made.headers["Location"].removeprefix(self.root)
        staged = await self.until(path, "staged")
        assert staged["counts"]["new"] == 1, staged
        return path


@pytest.fixture
async def program(site: Freshledger, db, ledger: Ledger) -> Program:
    await link(db, ledger)
    program = Program(site, ledger, (await let_in(db, ledger, scope="write"))[1])
    program.readers = [Reader(site, headers) for headers in await let_in(db, ledger, scope="read")]
    return program


@pytest.fixture
async def psql(own_database: str) -> AsyncIterator[asyncpg.Connection]:
    """Somebody in psql who has begun a transaction, and ends it when the test does."""
    connection = await asyncpg.connect(own_database)
    await connection.execute("BEGIN")
    yield connection
    await connection.execute("ROLLBACK")
    await connection.close()


async def change_rows(psql: asyncpg.Connection, ledger: Ledger) -> None:
    """Change one row of every kind, and add one; all of the ledger's first."""
    one = {"labels": ledger.labels[0], "contacts": ledger.contacts[0], "wallets": ledger.wallet}
    for table, row_id in one.items():
        await psql.execute(
            f"UPDATE {table} SET name = name || ' of psql' WHERE ledger_id = $1 AND id = $2",
            ledger.id,
            row_id,
        )
    await psql.execute(
        "UPDATE transactions SET note = 'psql' WHERE ledger_id = $1 AND id = $2",
        ledger.id,
        ledger.transactions[0],
    )
    await psql.execute("INSERT INTO labels (ledger_id, name) VALUES ($1, 'of psql')", ledger.id)


def same_rows(ledger: Ledger) -> list[tuple[str, str, dict | None]]:
    """Edits of the rows that psql has changed."""
    label, contact, first = ledger.labels[0], ledger.contacts[0], ledger.transactions[0]
    return [
        ("PATCH", f"/labels/{label}", {"name": "Mine"}),
        ("DELETE", f"/labels/{label}", None),
        ("POST", f"/labels/{label}/merge", {"into": ledger.labels[1]}),
        ("POST", "/labels", {"name": "of psql"}),
        ("PATCH", f"/contacts/{contact}", {"name": "Mine"}),
        ("PATCH", f"/wallets/{ledger.wallet}", {"name": "Mine"}),
        ("PATCH", f"/transactions/{first}", {"note": "mine"}),
        ("DELETE", f"/transactions/{first}", None),
        ("POST", "/transactions/bulk/note", {"ids": ledger.transactions[:9], "note": "mine"}),
    ]


def other_rows(ledger: Ledger) -> list[tuple[str, str, dict | None]]:
    """Every kind of edit of other rows, and what only points at the rows that psql has changed."""
    label, contact, second = ledger.labels[0], ledger.contacts[0], ledger.transactions[1]
    others = ledger.transactions[2:9]
    movement = {"wallet_id": ledger.wallet, "occurred_at": "2026-03-04T05:06:07Z",
                "type": "receive", "asset": "BTC", "amount": "1", "labels": [label]}  # fmt: skip
    address = {"address": "bc1qsomebody", "network": "bitcoin"}
    return [
        ("POST", "/labels", {"name": "New"}),
        ("PATCH", f"/labels/{ledger.labels[1]}", {"name": "Mine"}),
        ("POST", f"/labels/{ledger.labels[2]}/merge", {"into": ledger.labels[1]}),
        ("DELETE", f"/labels/{ledger.labels[3]}", None),
        ("PUT", f"/transactions/{second}/labels/{ledger.labels[1]}", None),
        ("PUT", f"/transactions/{ledger.transactions[0]}/labels/{ledger.labels[1]}", None),
        ("DELETE", f"/transactions/{second}/labels/{label}", None),
        ("PUT", f"/transactions/{second}/labels/{label}", None),
        ("POST", "/transactions", movement),
        ("PATCH", f"/transactions/{second}", {"note": "mine", "contact_id": contact}),
        ("POST", "/transactions/bulk/note", {"ids": others, "note": "mine"}),
        ("POST", "/transactions/bulk/labels", {"ids": others, "remove": [label]}),
        ("POST", "/transactions/bulk/labels", {"ids": others, "add": [label]}),
        ("POST", "/transactions/bulk/contact", {"ids": others, "contact_id": contact}),
        ("DELETE", f"/transactions/{ledger.transactions[10]}", None),
        ("POST", "/contacts", {"name": "New"}),
        ("PATCH", f"/contacts/{ledger.contacts[1]}", {"name": "Mine"}),
        ("POST", f"/contacts/{contact}/addresses", address),
        ("POST", f"/contacts/{ledger.contacts[2]}/merge", {"into": ledger.contacts[1]}),
        ("DELETE", f"/contacts/{ledger.contacts[3]}", None),
        ("POST", "/wallets", {"name": "New"}),
        ("POST", f"/wallets/{ledger.wallet}/addresses", {"address": "bc1qnew", "chain": "bitcoin"}),
    ]


async def read_all(program: Program, ledger: Ledger) -> None:
    """Ask for every page and API read, at a browser and with a token."""
    for reader in program.readers:
        for path in paths(program.app, ledger):
            await reader.get(path)
        failed = {path: status for path, status in reader.statuses.items() if status >= 500}
        assert not failed
        assert 200 in reader.statuses.values()


async def test_who_changes_the_same_row_is_told_so(
    site: Freshledger, db, ledger: Ledger, program: Program, psql
):
    """They wait until lock_timeout, are told to try again, and have done nothing."""
    await change_rows(psql, ledger)
    before = await look(db, ledger.id)
    for method, path, body in same_rows(ledger):
        asking = asyncio.create_task(program.ask(method, path, json=body))
        await until_waiting(psql, db)
        answer = await asking
        said = await answer.get_json()
        assert (answer.status_code, said["code"]) == (BUSY, "busy"), (path, said)
        assert int(answer.headers["Retry-After"]) >= 1
        assert await look(db, ledger.id) == before, path
        await asyncio.gather(*site.background_tasks)  # beside the requests a token's use is noted
        assert site.database.checked_out == 0


async def test_nobody_else_waits(db, ledger: Ledger, program: Program, psql):
    """All other edits, an import into the very wallet, and all reading go on."""
    staged = await program.stage()
    await change_rows(psql, ledger)
    for method, path, body in other_rows(ledger):
        answer = await program.ask(method, path, json=body)
        assert answer.status_code < 300, (path, await answer.get_data(as_text=True))
        assert not await waiting_for(psql, db)
    assert (await program.ask("POST", f"{staged}/commit")).status_code == 202
    assert (await program.until(staged, "done", "failed"))["status"] == "done"
    await program.stage("Another")
    await read_all(program, ledger)
    assert not await waiting_for(psql, db)
    shown = await look(db, ledger.id)
    assert shown.faults <= {"content"}  # imports tell their rows in bulk
    await psql.execute("COMMIT; BEGIN")
    after = await look(db, ledger.id)
    assert (after.version, after.faults) == (shown.version + 1, shown.faults)


async def test_who_has_the_ledgers_head_stops_its_writers(
    site: Freshledger, db, ledger: Ledger, other: Ledger, program: Program, psql
):
    """A stamp that is forced before COMMIT: the ledger's edits are busy until psql ends.

    Nothing is read later for that, and other ledgers do not notice.
    """
    staged = await program.stage()
    elsewhere = Program(site, other, (await let_in(db, other, scope="write"))[1])
    await change_rows(psql, ledger)
    await psql.execute("SET CONSTRAINTS ALL IMMEDIATE")
    before = await look(db, ledger.id)
    done_already = ("PUT", "/transactions/bulk/labels")
    stopped = [edit for edit in other_rows(ledger)[:16] if not {*edit[:2]} & {*done_already}]
    for method, path, body in stopped:
        answer = await program.ask(method, path, json=body)
        assert (answer.status_code, (await answer.get_json())["code"]) == (BUSY, "busy"), path
        assert "Retry-After" in answer.headers
    assert await look(db, ledger.id) == before
    await read_all(program, ledger)
    for method, path, body in other_rows(other)[:3]:
        assert (await elsewhere.ask(method, path, json=body)).status_code < 300
    assert (await program.ask("POST", f"{staged}/commit")).status_code == BUSY
    assert (await program.until(staged, "staged"))["error"] is None
    await psql.execute("COMMIT; BEGIN")
    assert (await program.ask("POST", f"{staged}/commit")).status_code == 202
    assert (await program.until(staged, "done", "failed"))["status"] == "done"


# The application's own snapshots


@pytest.fixture
async def hasty(own_database: str, tmp_path, request) -> AsyncIterator[Freshledger]:
    """The application, with limits that a test can wait for, and that other work keeps to."""
    limits = {"pool_size": 2} | request.param
    app = create_app(Settings(data_dir=tmp_path, database_url=own_database, **limits))
    async with app.test_app():
        yield app


async def gone(db: asyncpg.Connection, pid: int) -> None:
    async with asyncio.timeout(10):
        while await db.fetchval("SELECT count(*) FROM pg_stat_activity WHERE pid = $1", pid):
            pass


async def stall(db: asyncpg.Connection) -> str:
    """Keep the request's snapshot, do nothing until the server has ended it, then go on."""
    session = current_session()
    await gone(db, (await session.execute(text("SELECT pg_backend_pid()"))).scalar_one())
    return str((await session.execute(text("SELECT 1"))).scalar_one())


async def keep_asking(_db: asyncpg.Connection) -> str:
    """Never pause for long: only the end of the transaction as a whole helps."""
    while True:
        await current_session().execute(text("SELECT pg_sleep(0.01)"))


async def one_long_statement(_db: asyncpg.Connection) -> str:
    await current_session().execute(text("SELECT pg_sleep(60)"))
    return "done"


LIMITS = [
    ({"idle_in_transaction_timeout": 1.0}, stall),
    ({"transaction_timeout": 1.0}, stall),
    ({"transaction_timeout": 1.0}, keep_asking),
    ({"statement_timeout": 1.0}, one_long_statement),
]


@pytest.mark.parametrize(("hasty", "view"), LIMITS, indirect=["hasty"])
async def test_a_snapshot_that_stalls_is_ended(hasty: Freshledger, db, ledger: Ledger, view):
    async def stalled(ledger_id: int) -> str:  # noqa: ARG001 - the path's
        return await view(db)

    hasty.add_url_rule("/api/v1/ledgers/<int:ledger_id>/stalled", "stalled", stalled)
    program = Program(hasty, ledger, (await let_in(db, ledger, scope="read"))[0])
    answer = await program.ask("GET", "/stalled")
    assert (answer.status_code, (await answer.get_json())["code"]) == (BUSY, "busy")
    assert "Retry-After" in answer.headers
    assert not {"ETag", "Ledger-Version"} & set(answer.headers.keys())
    assert hasty.database.checked_out == 0
    whole = await asyncio.gather(*(program.ask("GET", "/labels") for _ in range(6)))
    assert {answer.status_code for answer in whole} == {200}


@pytest.mark.parametrize("hasty", [{"transaction_timeout": 1.0}], indirect=True)
@pytest.mark.parametrize("limit", ["PAUSE", "LONGEST"])
async def test_an_export_outlives_that_but_has_an_end_too(
    hasty: Freshledger, db, monkeypatch, limit: str
):
    """Its snapshot stands longer than a request's, but not for ever, and may not lie idle."""
    async with hasty.database.read() as session:
        await exporting.begin_snapshot(session)
        await session.execute(text("SELECT pg_sleep(1.5)"))
        shown = await session.execute(text("SHOW transaction_timeout"))
        assert shown.scalar_one() == f"{exporting.LONGEST // 3600}h"
    monkeypatch.setattr(exporting, limit, 1)
    async with hasty.database.read() as session:
        await exporting.begin_snapshot(session)
        pid = (await session.execute(text("SELECT pg_backend_pid()"))).scalar_one()
        await gone(db, pid)
        with pytest.raises(DBAPIError):
            await session.execute(text("SELECT 1"))
    assert hasty.database.checked_out == 0
    async with hasty.database.read() as session:
        shown = await session.execute(text("SHOW transaction_timeout"))
        assert shown.scalar_one() == "1s"


@pytest.mark.parametrize("hasty", [{"transaction_timeout": 3.0}], indirect=True)
@pytest.mark.parametrize("kind", ["page", "api"])
async def test_a_preview_may_take_its_time(
    hasty: Freshledger, db, ledger: Ledger, monkeypatch, kind: str
):
    """That of a large import lasts longer than a request's snapshot may, and has an end as well."""
    program = Program(hasty, ledger, (await let_in(db, ledger, scope="write"))[1])
    staged, shown = await program.stage(), []
    count_outcomes = preview.count_outcomes

    async def noting(session, **key):
        shown.append((await session.execute(text("SHOW transaction_timeout"))).scalar_one())
        return await count_outcomes(session, **key)

    monkeypatch.setattr(preview, "count_outcomes", noting)
    browser = (await let_in(db, ledger, scope="read"))[0]
    path = f"/ledgers/{ledger.id}{staged}" if kind == "page" else program.root + staged
    answer = await hasty.test_client().get(path, headers=browser)
    assert (answer.status_code, shown) == (200, ["1h"])


async def test_a_writer_is_not_bounded_as_a_whole(site: Freshledger):
    """Imports take minutes; what bounds them are the pauses."""
    async with site.database.write() as session:
        shown = await session.execute(text("SHOW transaction_timeout"))
        assert shown.scalar_one() == "0"
