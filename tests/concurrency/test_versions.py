"""A snapshot that shows version v shows exactly the changes 1..v, whoever writes how.

Sixteen writers of several statements, beside a psql-like one that changes many rows, while
readers compare, in REPEATABLE READ, the content of all tables with what the changes say.
"""

import asyncio
import random
import time
from dataclasses import replace
from uuid import UUID

import asyncpg
import pytest
from sql_history import Event, History

from ledger import Ledger, current_tx, look, make_ledger, version_of

WRITERS, TRANSACTIONS, MANY_TIMES = 16, 20, 25
STATEMENTS = {
    "rename": "UPDATE labels SET name = '{text}' WHERE ledger_id = {ledger} AND id = {label}",
    "edit": "UPDATE transactions SET note = '{text}' WHERE ledger_id = {ledger} AND id = {first}",
    "again": "UPDATE transactions SET note = '{text}!' WHERE ledger_id = {ledger} AND id = {first}",
    "next": "UPDATE transactions SET amount = amount + 1 WHERE ledger_id = {ledger}"
    " AND id = {second}",
    "link": "INSERT INTO transaction_labels (ledger_id, transaction_id, label_id, occurred_at)"
    " SELECT ledger_id, t.id, l.id, t.occurred_at"
    " FROM transactions t JOIN labels l USING (ledger_id)"
    " WHERE ledger_id = {ledger} AND t.id = {first} AND l.id = {label} ON CONFLICT DO NOTHING",
    "unlink": "DELETE FROM transaction_labels WHERE ledger_id = {ledger}"
    " AND transaction_id = {first} AND label_id = {label}",
    "contact": "WITH made AS (INSERT INTO contacts (ledger_id, name) VALUES ({ledger}, '{text}')"
    " RETURNING ledger_id, id) INSERT INTO contact_addresses (ledger_id, contact_id, network,"
    " address) SELECT ledger_id, id, 'evm', '{text}' FROM made",
}
"""In the order in which a transaction uses them, so that its rows cannot deadlock."""
ORDER = list(STATEMENTS)
NEW_LABEL = "INSERT INTO labels (ledger_id, name) VALUES ({ledger}, 'undone {text}')"
MANY = """
UPDATE transactions SET note = 'many {text}' WHERE ledger_id = {ledger} AND id IN (
  SELECT id FROM transactions WHERE ledger_id = {ledger} ORDER BY id FOR NO KEY UPDATE)
"""


class Run:
    """Writers and readers of one ledger, and the history they leave."""

    def __init__(self, url: str, ledger: Ledger) -> None:
        self.url = url
        self.ledger = ledger
        self.history = History()
        self.acknowledged: list[tuple[float, float, UUID]] = []
        self.writing = True

    async def run(self) -> History:
        listener = await asyncpg.connect(self.url)
        self.history.notified.append(await version_of(listener, self.ledger.id))
        await listener.add_listener("ledger", self._notified)
        readers = [asyncio.create_task(self._read()) for _ in range(3)]
        try:
            writers = (self._write(number) for number in range(WRITERS))
            await asyncio.gather(self._write_many(), *writers)
        finally:
            self.writing = False
            await asyncio.gather(*readers)
        await self._finish(listener)
        await listener.close()
        return self.history

    async def _write(self, number: int) -> None:
        connection, choose = await asyncpg.connect(self.url), random.Random(number)
        for turn in range(TRANSACTIONS):
            await self._transaction(connection, choose, f"{number}.{turn}")
        await connection.close()

    async def _transaction(
        self, connection: asyncpg.Connection, choose: random.Random, text: str
    ) -> None:
        start = time.monotonic()
        transaction = connection.transaction()
        await transaction.start()
        names = self._names(choose, text)
        if choose.random() < 0.2:
            undone = connection.transaction()
            await undone.start()
            await connection.execute(NEW_LABEL.format(**names))
            await undone.rollback()
        for kind in sorted(choose.sample(ORDER, choose.randint(1, 4)), key=ORDER.index):
            await connection.execute(STATEMENTS[kind].format(**names))
        tx = await current_tx(connection)
        if choose.random() < 0.1:
            await transaction.rollback()
            return
        await transaction.commit()
        if tx:
            self.acknowledged.append((start, time.monotonic(), tx))

    def _names(self, choose: random.Random, text: str) -> dict[str, object]:
        first, second = sorted(choose.sample(self.ledger.transactions, 2))
        label = choose.choice(self.ledger.labels)
        return {"ledger": self.ledger.id, "text": text, "label": label} | {
            "first": first,
            "second": second,
        }

    async def _write_many(self) -> None:
        connection = await asyncpg.connect(self.url)
        for turn in range(MANY_TIMES):
            await connection.execute(MANY.format(ledger=self.ledger.id, text=turn))
        await connection.close()

    async def _read(self) -> None:
        connection = await asyncpg.connect(self.url)
        while self.writing:
            start = time.monotonic()
            shown = await look(connection, self.ledger.id)
            self.history.faults.update(shown.faults)
            self.history.reads.append(Event(start, time.monotonic(), shown.version))
        await connection.close()

    async def _finish(self, connection: asyncpg.Connection) -> None:
        shown = await look(connection, self.ledger.id)
        self.history.faults.update(shown.faults)
        rows = await connection.fetch(
            "SELECT tx, version FROM revisions WHERE ledger_id = $1", self.ledger.id
        )
        versions = {row["tx"]: row["version"] for row in rows}
        made = [(start, end, versions.get(tx)) for start, end, tx in self.acknowledged]
        self.history.faults["lost"] += sum(version is None for *_, version in made)
        self.history.writes = [Event(*one) for one in made if one[2] is not None]

    def _notified(self, _connection: object, _pid: int, _channel: str, payload: str) -> None:
        self.history.notified.append(int(payload.partition(":")[2]))


@pytest.fixture
async def ledger(own_database: str) -> Ledger:
    connection = await asyncpg.connect(own_database)
    ledger = await make_ledger(connection, rows=40, labels=8)
    await connection.close()
    return ledger


async def test_versions(own_database: str, ledger: Ledger):
    history = await Run(own_database, ledger).run()
    assert not history.violations()
    assert len(history.writes) > 200
    assert len(history.reads) > 10
    assert len(history.notified) > len(history.writes)

    writes, reads = history.writes, history.reads
    history.writes = _swapped(writes)
    assert history.violations().keys() >= {"write order", "stale"}
    history.writes = writes
    history.reads = [*reads[:-1], replace(reads[-1], version=reads[0].version)]
    assert history.violations().keys() >= {"stale", "not monotonic"}, "a page from an old cache"
    history.reads = reads
    history.notified[5], history.notified[9] = history.notified[9], history.notified[5]
    assert history.violations().keys() == {"notify order"}


def _swapped(events: list[Event]) -> list[Event]:
    """Give two writes, far from each other, each other's version."""
    first, last = events[5], events[-5]
    others = [event for event in events if event not in {first, last}]
    return [
        *others,
        replace(first, version=last.version),
        replace(last, version=first.version),
    ]


SEQUENCE = """
CREATE SEQUENCE planted START 1000;
CREATE OR REPLACE FUNCTION stamp_ledger(ledger bigint, transaction uuid) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE given bigint := nextval('planted');
BEGIN
  UPDATE heads SET version = given, tx = transaction
  WHERE ledger_id = ledger AND tx IS DISTINCT FROM transaction;
  IF FOUND THEN INSERT INTO revisions (ledger_id, version, tx) VALUES (ledger, given, transaction);
  END IF;
END $$
"""
UNSTAMPED = "ALTER TABLE changes DISABLE TRIGGER stamp"
PLANTED = {
    "a table that is changed silently": (
        "ALTER TABLE labels DISABLE TRIGGER note_update", {"content"}
    ),
    "versions from a sequence": (SEQUENCE, {"gap"}),
    "changes that get no version": (UNSTAMPED, {"orphan", "content", "lost"}),
}  # fmt: skip


@pytest.mark.parametrize("fault", PLANTED)
async def test_versions_catches(fault: str, own_database: str, ledger: Ledger):
    statement, seen = PLANTED[fault]
    connection = await asyncpg.connect(own_database)
    await connection.execute(statement)
    await connection.close()
    history = await Run(own_database, ledger).run()
    assert history.violations().keys() >= seen
