"""A process of clients: people and programs that write and read at once, until told to stop.

    python -m proof.load FILE < spec

The spec is one line of JSON. When the writers are done it writes `written`; then it reads the
last version from its standard input, lets the live pages reach it, and ends.
"""

import asyncio
import random
import sys
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from decimal import Decimal
from itertools import count, cycle
from pathlib import Path

import asyncpg
import msgspec

from proof import records
from proof.clients import Client, Site
from proof.live import LivePage, Wanderer
from proof.records import Record, Recorder, now

CROWDED = 6
"""How many movements the editors share: few, so that they meet."""

PAUSE = 0.05
"""Seconds between two transactions of somebody in psql, who would leave no room for others."""

FOLLOWERS = {"live": LivePage, "wander": Wanderer}
"""Those who follow a stream; all others are methods of Clients."""


class Spec(msgspec.Struct, frozen=True):
    """What a process does: how many clients of each kind, for how many seconds."""

    process: str
    site: Site
    seconds: float
    clients: dict[str, int]
    seed: int = 1


class Clients:
    """The clients of one process, each with its own name and its own texts."""

    def __init__(self, spec: Spec, recorder: Recorder) -> None:
        self.spec = spec
        self.recorder = recorder
        self.chance = random.Random(f"{spec.seed} {spec.process}")
        self.numbers = count(1)
        self.writing = True
        self.corrected = 0

    def text(self, name: str) -> str:
        """A text that nobody else writes."""
        return f"{self.spec.process}-{name}-{next(self.numbers)}"

    async def edit(self, client: Client) -> None:
        """Correct notes and amounts of the few movements that all editors share."""
        bases: dict[int, int] = {}
        while self.writing:
            row = self.chance.choice(client.site.rows[:CROWDED])
            if row not in bases and (shown := await client.row(row)) and shown.rows:
                bases[row] = shown.rows[row].version
            record = await self._correct(client, row, bases.get(row))
            if record.answered is not None:
                bases[row] = record.answered
            else:
                bases.pop(row, None)

    async def _correct(self, client: Client, row: int, base: int | None) -> Record:
        column, value = "note", self.text(client.name)
        if self.chance.random() < 0.3:
            column, value = "amount", records.plain(Decimal(self.chance.randrange(10**18)) / 10**12)
        effects = (records.value_set(row, column, value),)
        path, body = f"/transactions/{row}", {column: value}
        again = self.corrected % 5 == 0  # so also the first, however few there will be
        record, _ = await client.write(
            "edit", "PATCH", path, effects, body=body, row=row, base=base, again=again
        )
        self.corrected += record.answered is not None
        return record

    async def submit(self, client: Client) -> None:
        """Set notes by the form of a page, on the versions that the page showed."""
        while self.writing:
            shown = await client.page()
            for row in self.chance.sample(client.site.rows[:CROWDED], 3) if shown else ():
                await client.submit_note(row, self.text(client.name), shown.rows[row].version)

    async def leave(self, client: Client) -> None:
        """Ask for something, and go away before the answer."""
        while self.writing:
            name = self.text(client.name)
            effects = (records.created("labels", name),)
            made, answer = await client.write(
                "label", "POST", "/labels", effects, body={"name": name}
            )
            for row in self.chance.sample(client.site.rows, 4) if made.outcome == "ok" else ():
                await client.leave(row, answer.json["id"], self.chance.random() / 20)

    async def label(self, client: Client) -> None:
        """Make a label, put it on movements, take it off some, delete it, from all at once."""
        while self.writing:
            name = self.text(client.name)
            made, answer = await client.write(
                "label", "POST", "/labels", (records.created("labels", name),), body={"name": name}
            )
            if made.outcome != "ok":
                continue
            label, base = answer.json["id"], answer.json["version"]
            rows = self.chance.sample(client.site.rows, 6)
            for row in rows:
                effects = (records.linked(row, label),)
                await client.write("label", "PUT", f"/transactions/{row}/labels/{label}", effects)
            for row in rows[:2]:
                effects = (records.unlinked(row, label),)
                path = f"/transactions/{row}/labels/{label}"
                await client.write("label", "DELETE", path, effects)
            effects = (records.deleted("labels", label),)
            await client.write("label", "DELETE", f"/labels/{label}", effects, base=base)

    async def bulk(self, client: Client) -> None:
        """Put one note on many movements at once."""
        while self.writing:
            note, rows = self.text(client.name), sorted(self.chance.sample(client.site.rows, 20))
            effects = tuple(records.value_set(row, "note", note) for row in rows)
            body = {"ids": rows, "note": note}
            await client.write("bulk", "POST", "/transactions/bulk/note", effects, body=body)

    async def make(self, client: Client) -> None:
        """Add a movement by hand, and delete it again."""
        while self.writing:
            note = self.text(client.name)
            body = {"wallet_id": client.site.wallet, "occurred_at": "2026-02-01T00:00:00Z",
                    "type": "receive", "asset": "ETH", "amount": "1.5", "note": note}  # fmt: skip
            effects = (records.created("transactions", note),)
            made, answer = await client.write("create", "POST", "/transactions", effects, body=body)
            if made.outcome != "ok":
                continue
            row = answer.json["id"]
            effects = (records.deleted("transactions", row),)
            await client.write("delete", "DELETE", f"/transactions/{row}", effects,
                               base=answer.json["version"])  # fmt: skip

    async def foreign(self, client: Client) -> None:
        """Somebody in psql: several statements in one transaction."""
        connection = await asyncpg.connect(client.site.database)
        while self.writing:
            await self._foreign(client, connection)
            await asyncio.sleep(PAUSE)
        await connection.close()

    async def _foreign(self, client: Client, connection: asyncpg.Connection) -> None:
        note, rows = self.text(client.name), sorted(self.chance.sample(client.site.rows, 5))
        which = f"ledger_id = {client.site.ledger} AND id = ANY($1::bigint[])"
        invoked = now()
        async with connection.transaction():
            lock = f"SELECT FROM transactions WHERE {which} ORDER BY id FOR NO KEY UPDATE"
            await connection.execute(lock, rows)
            await connection.execute(f"UPDATE transactions SET note = $2 WHERE {which}", rows, note)
            await connection.execute(f"UPDATE transactions SET amount = 7 WHERE {which}", rows[:1])
        effects = tuple(records.value_set(row, "note", note) for row in rows)
        process = self.recorder.process
        self.recorder.add(
            Record(process, client.name, "foreign", invoked, now(), what="SQL", effects=effects)
        )

    async def read(self, client: Client) -> None:
        """Read everything that there is to read, by turns."""
        turns: Iterable[Callable[[], Awaitable[object]]] = cycle(
            [
                client.list,
                client.list,
                lambda: client.list(totals=True),
                lambda: client.row(self.chance.choice(client.site.rows[:CROWDED])),
                client.totals,
                lambda: client.page(block=True),
                client.page,
            ]
        )
        for turn in turns:
            await turn()
            if not self.writing:
                return

    async def read_in_the_end(self, client: Client) -> None:
        """Read when nobody writes any more: what one has is shown again."""
        for turn in (client.list, client.list, client.page, client.page):
            await turn()


async def run(spec: Spec, recorder: Recorder, last_version: Callable[[], Awaitable[int]]) -> None:
    """Let all clients work for as long as the spec says, then the live pages come to rest."""
    clients = Clients(spec, recorder)

    def named(kind: str, number: int) -> Client:
        return FOLLOWERS.get(kind, Client)(spec.site, recorder, f"{kind}{number}")

    async with AsyncExitStack() as stack:
        everybody = {
            kind: [await stack.enter_async_context(named(kind, n)) for n in range(many)]
            for kind, many in spec.clients.items()
        }
        live = [page for kind in FOLLOWERS for page in everybody.pop(kind, [])]
        async with asyncio.TaskGroup() as working:
            for page in live:
                await page.load()
            following = [working.create_task(page.follow()) for page in live]
            doing = [
                working.create_task(getattr(clients, kind)(client))
                for kind, them in everybody.items()
                for client in them
            ]
            await asyncio.sleep(spec.seconds)
            clients.writing = False
            await asyncio.gather(*doing)
            version = await last_version()
            await asyncio.gather(*map(clients.read_in_the_end, everybody.get("read", [])))
            await asyncio.gather(*(page.settled(version) for page in live))
            for task in following:
                task.cancel()


async def _told_by_parent() -> int:
    """Say that the writers are done, and hear which version was the last."""
    sys.stdout.write("written\n")
    sys.stdout.flush()
    return int(await asyncio.to_thread(sys.stdin.readline))


def main() -> None:
    spec = msgspec.json.decode(sys.stdin.readline(), type=Spec)
    with Path(sys.argv[1]).open("w", buffering=1) as file:
        asyncio.run(run(spec, Recorder(spec.process, file), _told_by_parent))


if __name__ == "__main__":
    main()
