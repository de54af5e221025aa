"""What streams cost, and that none can harm the others or the pages."""

import asyncio
from contextlib import AsyncExitStack

import asyncpg
from msgspec.structs import replace
from streams import OFTEN, Client, parse, stream

from books import signed_in
from freshledger.app import create_app
from freshledger.live import streams as live_streams
from freshledger.live import telling
from freshledger.web import stream as web_stream
from scopes import scope

LABEL = "INSERT INTO labels (ledger_id, name) VALUES ($1, gen_random_uuid())"
STREAMS = 50


async def test_fifty_streams_and_one_connection(settings, books, psql):
    """A stream holds no connection: pages and API go on with the only one of the pool."""
    app = create_app(replace(settings, pool_size=1))
    async with app.test_app(), AsyncExitStack() as stack, asyncio.timeout(30):
        client = signed_in(app, books)
        opened = [
            await stack.enter_async_context(stream(client, f"{books.path}/live"))
            for _ in range(STREAMS)
        ]
        assert {(await live.next()).name for live in opened} == {"ready"}
        assert app.database.checked_out == 0
        answers = await asyncio.gather(*(client.get(f"{books.api}/wallets") for _ in range(20)))
        assert {answer.status_code for answer in answers} == {200}
        await psql.execute(LABEL, books.ledger_id)
        assert {(await live.next()).name for live in opened} == {"change"}
        assert app.database.checked_out == 0


async def test_nothing_is_left_when_clients_go(app, client, books):
    streams = len(app.feed.guard.streams)
    async with stream(client, f"{books.path}/live") as live, stream(client, "/live") as account:
        await live.next()
        await account.next()
        assert len(app.feed.guard.streams) == streams + 2
        assert books.ledger_id in app.feed.topics
    assert len(app.feed.guard.streams) == streams
    assert books.ledger_id not in app.feed.topics
    assert app.feed.board.streams == set()


class Stopped:
    """A client that takes the beginning of a stream, and then nothing any more."""

    def __init__(self, app, books) -> None:
        self.took = b""
        self.ready, self.full = asyncio.Event(), asyncio.Event()
        headers = {"cookie": f"freshledger={books.session_token}"}
        asked = scope("GET", f"{books.path}/live", headers)
        self.task = asyncio.create_task(app(asked, self._receive, self._send))

    async def _receive(self) -> dict:
        await asyncio.Event().wait()

    async def _send(self, message: dict) -> None:
        self.took += message.get("body", b"")
        if b"event: ready" in self.took:
            self.ready.set()
        if b"event: change" in self.took:
            self.full.set()
            await asyncio.Event().wait()


async def test_a_stopped_client_is_given_up_and_delays_nobody(
    app, client, books, psql, monkeypatch
):
    monkeypatch.setattr(live_streams, "WRITE_SECONDS", 1)
    told = 0
    async with stream(client, f"{books.path}/live") as live, asyncio.timeout(30):
        await live.next()
        stopped = Stopped(app, books)
        await stopped.ready.wait()
        while not stopped.task.done():
            await psql.execute(LABEL, books.ledger_id)
            assert len((await live.next()).versions) == 1
            told += 1
        await stopped.task
    assert stopped.full.is_set()
    assert told > 4, "the others heard only of what came after it was given up"
    assert stopped.took.count(b"event: change") == 1
    assert books.ledger_id not in app.feed.topics


async def test_what_a_stopped_client_missed_is_one_event(app, client, books, psql):
    """However much happens, its mailbox has room for one."""
    async with stream(client, f"{books.path}/live") as live:
        start = (await live.next()).data["version"]
        (mailbox,) = app.feed.topics[books.ledger_id].mailboxes
        take, mailbox.take = mailbox.take, lambda: None
        async with stream(client, f"{books.path}/live") as other:
            await other.next()
            for _ in range(50):
                await psql.execute(LABEL, books.ledger_id)
            await other.until(start + 50)
        mailbox.take = take
        mailbox._ring()
        event = await live.next()
        assert event.versions == list(range(start + 1, start + 51))
        assert [change["version"] for change in event.data["changes"]] == event.versions


async def beaten(live: Client, times: int) -> None:
    """Wait for so many beats; nothing else may come."""
    async with asyncio.timeout(10):
        while len(live.beats) < times:
            event = parse(await live.block())
            assert event.name == "beat"
            live.beats.append(event)


async def test_beats_say_that_nothing_happened(client, books, monkeypatch):
    monkeypatch.setattr(live_streams, "BEAT_SECONDS", 0.05)
    async with stream(client, f"{books.path}/live") as live, stream(client, "/live") as account:
        version = (await live.next()).data["version"]
        assert (await account.next()).name == "ready"
        for one in (live, account):
            await beaten(one, 4)
        beat = live.beats[-1]
        assert (beat.id, set(beat.data)) == (None, {"version", "sent"})
        assert beat.data["version"] == version


async def heard_within(live: Client, seconds: float) -> bool:
    """Whether anything comes in that time."""
    try:
        async with asyncio.timeout(seconds):
            return bool(await live.block())
    except TimeoutError:
        return False


async def test_no_beats_while_the_database_is_away(client, books, psql, monkeypatch, feeding):
    """The stream stays open and says nothing, for it does not know; then it catches up."""
    monkeypatch.setattr(live_streams, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(telling, "AGAIN_SECONDS", 0.05)
    gate, connect = asyncio.Event(), asyncpg.connect

    async def later(*arguments, **options):
        await gate.wait()
        return await connect(*arguments, **options)

    async with feeding(tick=OFTEN) as feed, stream(client, f"{books.path}/live") as live:
        await live.next()
        monkeypatch.setattr(asyncpg, "connect", later)
        pid = feed.listener.connection.get_server_pid()
        await psql.execute("SELECT pg_terminate_backend($1, 5000)", pid)
        while await heard_within(live, 3 * OFTEN):
            pass  # sent before anybody could know
        assert not await heard_within(live, 1)
        await psql.execute(LABEL, books.ledger_id)
        gate.set()
        assert (await live.next()).name == "change"
        async with asyncio.timeout(5):
            assert b"event: beat" in await live.block()


async def test_a_stream_that_begins_while_the_database_is_away(
    client, books, psql, monkeypatch, feeding
):
    monkeypatch.setattr(telling, "AGAIN_SECONDS", 0.05)
    async with feeding() as feed:
        begin, failed = feed.begin, asyncio.Event()

        async def away(*_arguments):
            failed.set()
            raise ConnectionRefusedError

        monkeypatch.setattr(feed, "begin", away)
        async with stream(client, f"{books.path}/live") as live:
            async with asyncio.timeout(5):
                await failed.wait()
            monkeypatch.setattr(feed, "begin", begin)
            assert (await live.next()).name == "ready"
            await psql.execute(LABEL, books.ledger_id)
            assert (await live.next()).name == "change"


async def test_a_stop_ends_all_streams_at_once(settings, books):
    app = create_app(settings)
    async with app.test_app(), AsyncExitStack() as stack, asyncio.timeout(10):
        client = signed_in(app, books)
        paths = [f"{books.path}/live", f"{books.api}/live", "/live"] * 5
        opened = [await stack.enter_async_context(stream(client, path)) for path in paths]
        assert {(await live.next()).name for live in opened} == {"ready"}
        app.shutdown_event.set()
        for live in opened:
            await live.ends("shutdown")
        async with stream(client, f"{books.path}/live") as late:
            await late.ends("shutdown")


async def test_a_user_s_streams_leave_room_for_others(client, books, monkeypatch):
    monkeypatch.setattr(web_stream, "MOST_STREAMS", 2)
    async with AsyncExitStack() as stack:
        for path in (f"{books.path}/live", "/live"):
            live = await stack.enter_async_context(stream(client, path))
            assert (await live.next()).name == "ready"
        refused = await client.get(f"{books.api}/live")
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5")
