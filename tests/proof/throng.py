"""A process of clients that bear any fault: they go on when the program, or its database, is away.

    python -m proof.throng FILE

It reads its spec, one line of JSON, from standard input. At the next line its writers end, and it
writes `written`; then it reads the last version, lets all streams reach it, and ends.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, fields
from itertools import cycle
from pathlib import Path

import aiohttp
import asyncpg
import msgspec
import uvloop

from proof import records
from proof.clients import UNCERTAIN, Answer, Client, settle
from proof.live import LivePage
from proof.load import Clients, Spec
from proof.records import Outcome, Record, Recorder, Shown, now

LOST = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError,
        asyncpg.InternalClientError)  # fmt: skip
"""What asyncpg says of a connection that breaks; the last where it does so between two statements."""

PAUSE = 0.1
"""Seconds before somebody who was not answered asks again."""
SETTLES = 30.0


@dataclass(frozen=True)
class AnyAnswer(Answer):
    """An answer whose body may be a page that says that something went wrong."""

    @property
    def outcome(self) -> Outcome:
        if 200 <= self.status < 400:
            return "ok"
        uncertain = self.status == 503 and UNCERTAIN.encode() in self.body
        return "unknown" if self.status == 0 or uncertain else "fail"


class Sturdy(Client):
    """A client that waits a moment after it was not answered."""

    async def send(
        self, method: str, path: str, *, headers: dict[str, str], body: object = None
    ) -> Answer:
        found = await super().send(method, path, headers=headers, body=body)
        answer = AnyAnswer(**{field.name: getattr(found, field.name) for field in fields(found)})
        if answer.status in {0, 503, 599}:
            await asyncio.sleep(PAUSE)
        return answer


class Page(Sturdy, LivePage):
    """An open page."""

    async def load(self) -> None:
        self.changed = asyncio.Condition()
        while self.shown is None:
            await self._fetch()

    async def follow(self) -> None:
        while True:
            with suppress(aiohttp.ClientError, TimeoutError, ConnectionError):
                await self._stream()
            await asyncio.sleep(PAUSE)


class Watcher(Page):
    """A program that follows the stream and fetches nothing: the events are what it reads."""

    async def load(self) -> None:
        self.changed = asyncio.Condition()

    async def _fetch(self) -> None:
        """Take note of how far the stream is."""
        async with self.changed:
            self.changed.notify_all()

    @property
    def _version(self) -> int:
        return self.last[1] if self.last else 0

    async def settled(self, version: int, seconds: float = SETTLES) -> Record:
        begun = now()
        await settle(lambda: self._version >= version, self.changed, seconds)
        shown = Shown(self._version)
        process, what = self.recorder.process, f"stream, which has to reach {version}"
        return self.recorder.add(
            Record(process, self.name, "settled", begun, now(), what=what, shown=shown)
        )

    async def _heard(self, message: object) -> None:
        await super()._heard(message)
        await self._fetch()


class Throng(Clients):
    """What the clients do."""

    async def foreign(self, client: Client) -> None:
        """Somebody in psql, who connects again when the server is there again."""
        while self.writing:
            try:
                connection = await asyncpg.connect(client.site.database, timeout=5)
            except LOST:
                await asyncio.sleep(PAUSE)
                continue
            try:
                while self.writing:
                    await self._foreign_once(client, connection)
                    await asyncio.sleep(PAUSE)
            except LOST:
                await asyncio.sleep(PAUSE)
            finally:
                connection.terminate()

    async def _foreign_once(self, client: Client, connection: asyncpg.Connection) -> None:
        note, rows = self.text(client.name), sorted(self.chance.sample(client.site.rows, 5))
        which = f"ledger_id = {client.site.ledger} AND id = ANY($1::bigint[])"
        effects = tuple(records.value_set(row, "note", note) for row in rows)
        invoked, outcome = now(), "unknown"
        try:
            async with asyncio.timeout(SETTLES), connection.transaction():
                lock = f"SELECT FROM transactions WHERE {which} ORDER BY id FOR NO KEY UPDATE"
                await connection.execute(lock, rows)
                await connection.execute(
                    f"UPDATE transactions SET note = $2 WHERE {which}", rows, note
                )
            outcome = "ok"
        finally:
            self.recorder.add(
                Record(self.recorder.process, client.name, "foreign", invoked, now(), outcome,
                       "SQL", effects=effects)
            )  # fmt: skip

    async def label(self, client: Client) -> None:
        """Put labels on movements and take one off; a label stays that may still be on it.

        For the label's end takes it off everything, and a refused request would seem to have.
        """
        while self.writing:
            name = self.text(client.name)
            made, answer = await client.write(
                "label", "POST", "/labels", (records.created("labels", name),), body={"name": name}
            )
            if made.outcome != "ok":
                continue
            label, rows = answer.json["id"], self.chance.sample(client.site.rows, 4)
            put = False
            for row in rows:
                path = f"/transactions/{row}/labels/{label}"
                on, _ = await client.write("label", "PUT", path, (records.linked(row, label),))
                put = on.outcome == "ok"
            if not put:
                continue
            path = f"/transactions/{rows[-1]}/labels/{label}"
            effects = (records.unlinked(rows[-1], label),)
            off, _ = await client.write("label", "DELETE", path, effects)
            if off.outcome != "fail":
                effects = (records.deleted("labels", label),)
                await client.write("label", "DELETE", f"/labels/{label}", effects)

    async def ask(self, client: Client) -> None:
        """Ask for a list, a movement and the totals; who has the answer says so."""
        turns: list[Callable[[], Awaitable[object]]] = [
            client.list,
            client.list,
            lambda: client.row(self.chance.choice(client.site.rows)),
            client.list,
            client.totals,
        ]
        for turn in cycle(turns):
            if not self.writing:
                return
            await turn()

    async def edit_calmly(self, client: Client) -> None:
        """Edit as fast as a quick person does: every edit is told to every stream."""
        while self.writing:
            row = self.chance.choice(client.site.rows)
            shown = await client.row(row)
            if shown and row in shown.rows:
                await self._correct(client, row, shown.rows[row].version)
            await asyncio.sleep(PAUSE)


CLIENTS = {"live": Page, "watch": Watcher}
"""Those who follow a stream; all others are methods of Throng."""


async def run(spec: Spec, recorder: Recorder, line: Callable[[], Awaitable[str]]) -> None:
    """Let all clients work until the next line, then let the streams come to rest."""
    throng = Throng(spec, recorder)
    async with AsyncExitStack() as stack:
        everybody = {
            kind: [
                await stack.enter_async_context(
                    CLIENTS.get(kind, Sturdy)(spec.site, recorder, f"{kind}{number}")
                )
                for number in range(many)
            ]
            for kind, many in spec.clients.items()
        }
        streams = [one for kind in CLIENTS for one in everybody.pop(kind, [])]
        for one in streams:
            await one.load()
        async with asyncio.TaskGroup() as working:
            following = [working.create_task(one.follow()) for one in streams]
            doing = [
                working.create_task(getattr(throng, kind)(client))
                for kind, them in everybody.items()
                for client in them
            ]
            await line()
            throng.writing = False
            await asyncio.gather(*doing)
            say("written")
            version = int(await line() or 0)
            await asyncio.gather(*(one.settled(version, SETTLES) for one in streams))
            for task in following:
                task.cancel()


def say(word: str) -> None:
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


async def _line() -> str:
    return await asyncio.to_thread(sys.stdin.readline)


def main() -> None:
    spec = msgspec.json.decode(sys.stdin.readline(), type=Spec)
    with (
        Path(sys.argv[1]).open("w", buffering=1) as file,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(run(spec, Recorder(spec.process, file), _line))


if __name__ == "__main__":
    main()
