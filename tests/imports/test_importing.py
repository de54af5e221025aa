"""Importing: what is new is added, what is there is not added again, and all or nothing."""

import asyncio
import json
from datetime import timedelta
from decimal import Decimal
from resource import RUSAGE_SELF, getrusage
from typing import Any

import pytest

from freshledger.errors import Conflict, Invalid
from freshledger.imports import recovery, repository, runner, work
from freshledger.imports.formats.own import csv_header, csv_line


async def test_the_same_file_again_adds_nothing(desk: Any, movement: Any) -> None:
    file = desk.file(movement("a"), movement("b", "2"), movement("b", "2"))
    assert await desk.bring(file) == (3, 0, 0)
    expected = await desk.expected(await desk.stage(file))
    assert (expected.new, expected.there, expected.updated) == (0, 3, 0)
    assert await desk.bring(file) == (0, 3, 0)
    assert await desk.rows("identity, occurrence") == [("a", 0), ("b", 0), ("b", 1)]


async def test_a_grown_file_adds_only_what_is_new(desk: Any, movement: Any) -> None:
    rows = [movement("a"), movement("b"), movement("b")]
    assert await desk.bring(desk.file(*rows)) == (3, 0, 0)
    assert await desk.bring(desk.file(movement("c"), *rows, movement("b"))) == (2, 3, 0)


async def test_of_overlapping_files_each_row_counts_as_often_as_in_the_fullest(
    desk: Any, movement: Any
) -> None:
    one = desk.file(movement("a"), movement("b"), movement("b"))
    two = desk.file(movement("b"), movement("b"), movement("b"), movement("c"))
    assert await desk.bring(one, two) == (5, 0, 0)


async def test_rows_that_say_which_of_their_equals_they_are(desk: Any, movement: Any) -> None:
    second = desk.file(movement("a", occurrence=1), movement("a", occurrence=1))
    assert await desk.bring(second) == (1, 0, 0)
    assert await desk.rows("identity, occurrence") == [("a", 1)]
    assert await desk.bring(desk.file(movement("a"), movement("a"))) == (1, 1, 0)


async def test_other_prices_change_nothing(desk: Any, movement: Any) -> None:
    priced = {"fiat_value": Decimal(10), "fiat_currency": "EUR"}
    await desk.bring(desk.file(movement("a", **priced)))
    assert await desk.bring(
        desk.file(movement("a", fiat_value=Decimal(11), fiat_currency="EUR"))
    ) == (0, 1, 0)
    assert await desk.rows("fiat_value") == [(10,)]


async def test_a_changed_status_updates_its_row(desk: Any, movement: Any) -> None:
    await desk.bring(desk.file(movement("a", status="pending"), movement("b", status="pending")))
    later = movement("a").occurred_at + timedelta(hours=1)
    file = desk.file(movement("a", occurred_at=later), movement("b", "0", status="failed"))
    assert (await desk.expected(await desk.stage(file))).updated == 2
    assert await desk.bring(file) == (0, 0, 2)
    assert await desk.rows("status, amount, occurred_at") == [
        ("confirmed", 1, later),
        ("failed", 0, movement("b").occurred_at),
    ]


async def test_what_was_corrected_by_hand_stays(desk: Any, movement: Any, psql: Any) -> None:
    await desk.bring(desk.file(movement("a", status="pending"), movement("b", status="pending")))
    await psql.execute(
        "UPDATE transactions SET amount = 9, type = 'income', note = 'mine',"
        " hand_edited = '{amount,type,note}' WHERE ledger_id = $1",
        desk.ledger_id,
    )
    file = desk.file(movement("a"), movement("b", "0", status="failed"))
    assert await desk.bring(file) == (0, 0, 2)
    assert await desk.rows("status, amount, type, note") == [
        ("confirmed", 9, "income", "mine"),
        ("failed", 0, "income", "mine"),
    ]


async def test_what_a_person_deleted_stays_deleted(desk: Any, movement: Any, psql: Any) -> None:
    file = desk.file(movement("a"), movement("b"))
    await desk.bring(file)
    await psql.execute(
        "WITH gone AS (DELETE FROM transactions WHERE ledger_id = $1 AND identity = 'a' RETURNING *)"
        " INSERT INTO tombstones SELECT ledger_id, wallet_id, identity, occurrence FROM gone",
        desk.ledger_id,
    )
    key = await desk.stage(file)
    expected = await desk.expected(key)
    assert (expected.new, expected.there, expected.deleted) == (0, 1, 1)
    counts = await desk.commit(key)
    assert (counts["new"], counts["there"], counts["deleted"]) == (0, 1, 1)
    assert await desk.rows("identity") == [("b",)]


async def test_two_tabs_at_once_add_what_is_new_once(desk: Any, many: Any) -> None:
    file = desk.file(*many(3000, labels=("x", "y")))
    keys = [await desk.stage(file), await desk.stage(file)]
    done = await asyncio.gather(*(desk.commit(key) for key in keys))
    assert sorted(counts["new"] for counts in done) == [0, 3000]
    assert await desk.count() == 3000
    assert await desk.count("transaction_labels") == 6000


async def test_an_import_is_committed_once(desk: Any, movement: Any) -> None:
    key = await desk.stage(desk.file(movement("a")))
    done = await asyncio.gather(desk.commit(key), desk.commit(key), return_exceptions=True)
    assert sorted(type(result).__name__ for result in done) == ["Conflict", "dict"]
    with pytest.raises(Conflict, match="committed already"):
        await desk.commit(key)


async def test_small_edits_do_not_wait_for_an_import(
    desk: Any, many: Any, movement: Any, psql: Any
) -> None:
    await desk.bring(desk.file(movement("old")))
    key = await desk.stage(desk.file(*many(45_000)))
    task = await desk.begun(key)
    await psql.execute(
        "UPDATE transactions SET note = 'quick' WHERE ledger_id = $1 AND identity = 'old'",
        desk.ledger_id,
    )
    assert not task.done()
    assert (await task)["new"] == 45_000


async def test_a_cancelled_import_leaves_the_ledger_as_it_was(desk: Any, many: Any) -> None:
    key = await desk.stage(desk.file(*many(45_000, labels=("x",))))
    task = await desk.begun(key)
    async with desk.database.read() as session:
        shown = await repository.find_progress(
            session, ledger_id=key.ledger_id, import_id=key.import_id
        )
    assert shown is not None
    assert shown[1] == 45_000
    await desk.cancel(key)
    with pytest.raises(work.Cancelled):
        await task
    assert await desk.status(key) == "cancelled"
    assert [await desk.count(table) for table in ("transactions", "labels", "staged_rows")] == [
        0
    ] * 3


async def test_an_import_whose_program_is_stopped_waits_again(desk: Any, many: Any) -> None:
    key = await desk.stage(desk.file(*many(45_000)))
    task = await desk.begun(key)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await desk.status(key), await desk.count()) == ("staged", 0)
    assert (await desk.commit(key))["new"] == 45_000


async def test_an_import_whose_connection_dies_leaves_nothing(
    desk: Any, many: Any, psql: Any
) -> None:
    key = await desk.stage(desk.file(*many(45_000)))
    task = await desk.begun(key)
    await psql.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE $1",
        f"freshledger import {key.ledger_id}/{key.import_id} %",
    )
    with pytest.raises(Exception, match=r"."):
        await task
    assert (await desk.status(key), await desk.count()) == ("failed", 0)


async def test_a_start_after_a_crash_puts_imports_right(
    desk: Any, many: Any, movement: Any
) -> None:
    crashed = await desk.stage(desk.file(movement("a")))
    async with desk.database.write.begin() as session:
        await runner.claim_import(session, crashed)
    running = await desk.stage(desk.file(*many(45_000)))
    task = await desk.begun(running)
    await recovery.recover(desk.database, await recovery.list_jobs(desk.database))
    assert (await desk.status(crashed), await desk.status(running)) == ("staged", "committing")
    await task
    assert await desk.status(running) == "done"


async def test_taking_back_removes_what_no_other_import_contains(desk: Any, movement: Any) -> None:
    one = await desk.stage(desk.file(movement("a", labels=("x",), note="n"), movement("b")))
    await desk.commit(one)
    two = await desk.stage(desk.file(movement("b"), movement("c")))
    await desk.commit(two)
    assert await desk.take_back(one) == 1
    assert await desk.rows("identity") == [("b",), ("c",)]
    assert await desk.labels() == set()
    with pytest.raises(Conflict, match="taken back"):
        await desk.take_back(one)
    assert await desk.take_back(two) == 2
    assert await desk.count() == 0
    assert await desk.bring(desk.file(movement("a"))) == (1, 0, 0)


async def test_taking_back_leaves_what_was_made_by_hand(
    desk: Any, movement: Any, psql: Any
) -> None:
    await desk.bring(desk.file(movement("a")))
    await psql.execute(
        "INSERT INTO transactions (ledger_id, wallet_id, group_key, identity, occurred_at, type,"
        " asset, amount) SELECT ledger_id, wallet_id, 'hand:1', 'hand:1', now(), 'receive', 'ETH', 1"
        " FROM transactions WHERE ledger_id = $1",
        desk.ledger_id,
    )
    exported = await desk.stage(desk.file(movement("a"), movement("hand:1")))
    assert (await desk.commit(exported))["there"] == 2
    assert await desk.take_back(exported) == 0
    assert await desk.count() == 2


async def test_a_label_line_ties_now_and_later(desk: Any, movement: Any) -> None:
    def line(ref: str, label: str, **more: Any) -> str:
        return json.dumps({"type": "tx", "ref": ref, "label": label, **more}) + "\n"

    held, later = "aa" * 32, "bb" * 32
    await desk.bring(desk.file(movement("a", txid=held)))
    addr = json.dumps(
        {"type": "addr", "ref": "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "label": "Bob"}
    )
    lines = desk.text(line(held, "Rent") + line(later, "Food") + addr + "\n", ".jsonl")
    key = await desk.stage(lines)
    assert (await desk.expected(key)).new_lines == 3
    assert (await desk.commit(key))["lines"] == 3
    assert await desk.labels() == {("Rent", "a")}
    await desk.bring(desk.file(movement("b", txid=later)))
    assert await desk.labels() == {("Rent", "a"), ("Food", "b")}
    again = await desk.stage(lines)
    assert (await desk.expected(again)).lines_there == 3
    await desk.commit(again)
    await desk.take_back(key)
    assert await desk.count("reference_labels") == 3
    await desk.take_back(again)
    assert (await desk.count("reference_labels"), await desk.labels()) == (0, set())


async def test_a_label_that_was_taken_off_does_not_come_back(
    desk: Any, movement: Any, psql: Any
) -> None:
    file = desk.file(movement("a", labels=("x", "X", "y;z")))
    await desk.bring(file)
    assert {identity for _, identity in await desk.labels()} == {"a"}
    assert {name.lower() for name, _ in await desk.labels()} == {"x", "y;z"}
    await psql.execute("DELETE FROM transaction_labels WHERE ledger_id = $1", desk.ledger_id)
    await desk.bring(file)
    assert await desk.labels() == set()


async def test_rows_name_their_wallets_and_contacts(desk: Any, movement: Any, psql: Any) -> None:
    await desk.bring(desk.file(movement("a", wallet="Other", contact="Bob"), movement("a")))
    found = await psql.fetch(
        "SELECT w.name, c.name FROM transactions t JOIN wallets w ON w.id = t.wallet_id"
        " LEFT JOIN contacts c ON c.id = t.contact_id WHERE t.ledger_id = $1 ORDER BY 1",
        desk.ledger_id,
    )
    assert [tuple(row) for row in found] == [("Main", None), ("Other", "Bob")]


async def test_rows_of_another_source_are_pointed_out(desk: Any, movement: Any) -> None:
    txid = "0x" + "ab" * 32
    await desk.bring(desk.file(movement("etherscan", txid=txid)))
    key = await desk.stage(
        desk.file(movement("blockscout", txid=txid), movement("c", "2", txid=txid))
    )
    assert ((await desk.expected(key)).equal, (await desk.expected(key)).new) == (1, 2)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "what,is,this\n1,2,3\n",
        "\x00\x00\x00",
        csv_header() + '"never closed',
    ],
)
async def test_what_cannot_be_read_leaves_nothing(desk: Any, text: str) -> None:
    with pytest.raises(Invalid, match=r"file 1\.csv"):
        await desk.stage(desk.text(text))
    assert [await desk.count(table) for table in ("imports", "wallets", "staged_rows")] == [0] * 3


async def test_a_problem_is_told_by_line_and_column(desk: Any, movement: Any) -> None:
    good = desk.file(movement("a"), movement("b")).read_bytes().decode()
    key = await desk.stage(desk.text(good.replace(",1,", ",1e400,", 1)))
    expected = await desk.expected(key)
    assert (expected.new, expected.problems) == (1, 1)
    async with desk.database.read() as session:
        from freshledger.imports.preview import list_problems  # noqa: PLC0415

        (problem,) = await list_problems(session, ledger_id=key.ledger_id, import_id=key.import_id)
    assert (problem.line, problem.column) == (2, "amount")


async def test_memory_does_not_grow_with_the_file(desk: Any, movement: Any) -> None:
    file = desk.text(csv_header() + long_text(movement, 100_000))
    await desk.stage(desk.text(csv_header() + long_text(movement, 20_000)))
    before = getrusage(RUSAGE_SELF).ru_maxrss
    key = await desk.stage(file)
    assert (await desk.commit(key))["new"] == 100_000
    assert getrusage(RUSAGE_SELF).ru_maxrss - before < 32 * 1024


def long_text(movement: Any, count: int) -> str:
    line = csv_line(movement("row {}"))
    return "".join(line.replace("{}", str(n)) for n in range(count))
