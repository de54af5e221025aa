"""What a stream of a ledger says, and that it says all of it."""

import asyncio
import random

import asyncpg
import pytest
from streams import Event, chained, stream

from books import Books, make_books, signed_in
from freshledger.live.events import FARTHEST

LABEL = "INSERT INTO labels (ledger_id, name) VALUES ($1, gen_random_uuid()) RETURNING id"
WRITERS, WRITES = 20, 10


async def version_of(psql, books) -> int:
    return await psql.fetchval("SELECT version FROM heads WHERE ledger_id = $1", books.ledger_id)


async def epoch_of(psql, books) -> str:
    query = "SELECT epoch::text FROM ledgers WHERE id = $1"
    return await psql.fetchval(query, books.ledger_id)


async def commit(psql, books: Books, times: int = 1) -> int:
    """Make that many versions; return the last."""
    for _ in range(times):
        await psql.execute(LABEL, books.ledger_id)
    return await version_of(psql, books)


async def first(client, path: str, **options) -> Event:
    async with stream(client, path, **options) as live:
        return await live.next()


async def test_a_commit_of_anybody_is_told(client, books, psql):
    version = await version_of(psql, books)
    async with stream(client, f"{books.path}/live") as live:
        ready = await live.next()
        assert (ready.name, ready.id, ready.data["version"]) == ("ready", version, version)
        assert ready.data["since"] == version
        assert ready.data["changes"] == []
        label = await psql.fetchval(LABEL, books.ledger_id)
        event = await live.next()
    assert (event.name, event.id) == ("change", version + 1)
    assert event.data["since"] == version
    assert event.data["epoch"] == ready.data["epoch"] == await epoch_of(psql, books)
    assert event.data["at"] <= event.data["sent"]
    assert event.data["at"].endswith("Z")
    user = await psql.fetchval("SELECT session_user::text")
    assert event.data["changes"] == [
        {"version": version + 1, "actor": user, "table": "labels", "operation": "I", "count": 1,
         "ids": [label]}
    ]  # fmt: skip


async def test_a_commit_of_the_application_names_its_user(client, books, csrf):
    async with stream(client, f"{books.path}/live") as live:
        await live.next()
        made = await client.post(f"{books.api}/wallets", json={"name": "Cold"}, headers=csrf)
        assert made.status_code == 201
        event = await live.next()
    assert event.data["changes"][0]["actor"] == f"user:{books.user_id}"


async def test_one_transaction_is_one_version_and_its_statements_are_summed(client, books, psql):
    async with stream(client, f"{books.path}/live") as live:
        await live.next()
        async with psql.transaction():
            ids = [await psql.fetchval(LABEL, books.ledger_id) for _ in range(3)]
            await psql.execute("UPDATE labels SET color = 'red' WHERE id = $1", ids[0])
        event = await live.next()
    assert len(event.versions) == 1
    said = [(c["operation"], c["count"], c["ids"]) for c in event.data["changes"]]
    assert said == [("I", 3, sorted(ids)), ("U", 1, ids[:1])]


async def test_many_ids_are_only_counted(client, books, psql):
    many = "INSERT INTO labels (ledger_id, name) SELECT $1, 'n' || n FROM generate_series(1, $2) n"
    async with stream(client, f"{books.path}/live") as live:
        await live.next()
        await psql.execute(many, books.ledger_id, 101)
        event = await live.next()
    (change,) = event.data["changes"]
    assert (change["count"], change["ids"]) == (101, None)


async def test_headers(client, books):
    async with stream(client, f"{books.path}/live") as live:
        await live.next()
        headers = live.connection.headers
    assert headers["Content-Type"] == "text/event-stream"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Accel-Buffering"] == "no"
    assert "ETag" not in headers


async def test_head_has_no_stream(client, books):
    async with asyncio.timeout(5):
        answer = await client.head(f"{books.path}/live")
    assert answer.status_code == 200
    assert await answer.get_data() == b""


async def test_others_are_told_nothing(client, books, psql, app):
    other = await make_books(psql)
    refused = await signed_in(app, other).get(f"{books.path}/live")
    assert refused.status_code == 404
    async with stream(client, f"{books.path}/live") as live:
        await live.next()
        await commit(psql, other)
        version = await commit(psql, books)
        event = await live.next()
    assert event.data["version"] == version


# Where a reader stands


async def test_behind(client, books, psql):
    since = await version_of(psql, books)
    version = await commit(psql, books, 3)
    for options in (
        {"query_string": {"since": since}},
        {"query_string": {"since": version}, "headers": {"Last-Event-ID": str(since)}},
        {"query_string": {"since": since, "epoch": await epoch_of(psql, books)}},
    ):
        event = await first(client, f"{books.path}/live", **options)
        assert event.name == "change"
        assert event.versions == [since + 1, since + 2, since + 3]
        assert [change["version"] for change in event.data["changes"]] == event.versions


async def test_up_to_date(client, books, psql):
    version = await version_of(psql, books)
    event = await first(client, f"{books.path}/live", query_string={"since": version})
    assert (event.name, event.id) == ("ready", version)


@pytest.mark.parametrize("since", ["-1", "x", "²", "9" * 30, "1e3", " "])
async def test_a_version_that_is_none(client, books, psql, since):
    event = await first(client, f"{books.path}/live", query_string={"since": since})
    assert (event.name, event.id) == ("resync", await version_of(psql, books))


async def test_a_version_of_the_future(client, books, psql):
    version = await version_of(psql, books)
    event = await first(client, f"{books.path}/live", headers={"Last-Event-ID": str(version + 1)})
    assert (event.name, event.id) == ("resync", version)


@pytest.mark.parametrize("epoch", ["6f1d3f0e-8a5c-4c1e-9d55-0f4f5f0f7a11", "x", ""])
async def test_another_epoch(client, books, psql, epoch):
    version = await version_of(psql, books)
    asked = {"since": version, "epoch": epoch}
    event = await first(client, f"{books.path}/live", query_string=asked)
    assert (event.name, event.id, event.data["changes"]) == ("resync", version, [])
    assert event.data["epoch"] == await epoch_of(psql, books)


async def test_too_far_behind(client, books, psql):
    since = await version_of(psql, books)
    version = await commit(psql, books, FARTHEST)
    event = await first(client, f"{books.path}/live", query_string={"since": since})
    assert event.name == "change"
    assert len(event.versions) == FARTHEST
    await commit(psql, books)
    event = await first(client, f"{books.path}/live", query_string={"since": since})
    assert (event.name, event.id) == ("resync", version + 1)


@pytest.mark.parametrize("table", ["revisions", "changes"])
async def test_pruned_history(client, books, psql, table):
    since = await version_of(psql, books)
    version = await commit(psql, books, 3)
    await psql.execute(
        f"DELETE FROM {table} WHERE ledger_id = $1 AND tx = (SELECT tx FROM revisions"
        " WHERE ledger_id = $1 AND version = $2)",
        books.ledger_id,
        since + 1,
    )
    event = await first(client, f"{books.path}/live", query_string={"since": since})
    assert (event.name, event.id) == ("resync", version)
    event = await first(client, f"{books.path}/live", query_string={"since": since + 1})
    assert event.name == "change"


async def test_another_epoch_while_open(client, books, psql):
    async with stream(client, f"{books.path}/live") as live:
        await live.next()
        renew = "UPDATE ledgers SET epoch = gen_random_uuid() WHERE id = $1"
        await psql.execute(renew, books.ledger_id)
        event = await live.next()
        assert (event.name, event.id) == ("resync", await version_of(psql, books))
        assert event.data["epoch"] == await epoch_of(psql, books)
        version = await commit(psql, books)
        event = await live.next()
    assert (event.name, event.versions) == ("change", [version])


async def test_back_to_an_older_version(client, books, psql):
    async with stream(client, f"{books.path}/live") as live:
        version = (await live.next()).id
        back = "UPDATE heads SET version = version - 1 WHERE ledger_id = $1"
        await psql.execute(back, books.ledger_id)
        event = await live.next()
    assert (event.name, event.id) == ("resync", version - 1)


# Programs


async def test_a_program_with_a_token(app, client, books, psql, csrf):
    made = await client.post(
        f"{books.path}/tokens", form={"name": "x", "scope": "read"}, headers=csrf
    )
    secret = (await made.get_data(as_text=True)).split(f"fl_{books.ledger_id}_")[1].split("<")[0]
    headers = {"Authorization": f"Bearer fl_{books.ledger_id}_{secret}"}
    async with stream(app.test_client(), f"{books.api}/live", headers=headers) as live:
        ready = await live.next()
        version = await commit(psql, books)
        event = await live.next()
    assert ready.name == "ready"
    assert (event.name, event.id) == ("change", version)
    other = await make_books(psql)
    refused = await app.test_client().get(f"{other.api}/live", headers=headers)
    assert refused.status_code == 404
    assert (await app.test_client().get(f"{books.api}/live")).status_code == 401
    assert (await app.test_client().get(f"{books.path}/live", headers=headers)).status_code == 403


async def test_it_is_described(client):
    description = await (await client.get("/openapi.json")).get_json()
    operation = description["paths"]["/api/v1/ledgers/{ledger_id}/live"]["get"]
    assert "text/event-stream" in operation["responses"]["200"]["content"]
    asked = {(one["in"], one["name"]) for one in operation["parameters"]}
    assert asked == {
        ("path", "ledger_id"), ("query", "since"), ("query", "epoch"), ("header", "last-event-id")
    }  # fmt: skip


# Hostile hints


@pytest.mark.parametrize(
    "payload",
    [
        "",
        ":",
        "x",
        "1:",
        ":1",
        "1:2:3",
        "-1:5",
        "1:-5",
        "1" * 7000,
        "٣:٤",
        "9" * 18 + ":1",
        "\\x00",
    ],
)
async def test_a_foreign_notification_hurts_nobody(client, books, psql, payload):
    async with stream(client, f"{books.path}/live") as live:
        await live.next()
        for text in (payload, f"{books.ledger_id}:{payload}", f"{books.ledger_id}:999999999"):
            await psql.execute("SELECT pg_notify('ledger', $1), pg_notify('access', $1)", text)
        version = await commit(psql, books)
        event = await live.next(seconds=1)
    assert (event.name, event.id, len(event.versions)) == ("change", version, 1)


# Many at once


async def write(url: str, books: Books) -> None:
    psql = await asyncpg.connect(url)
    try:
        await commit(psql, books, WRITES)
    finally:
        await psql.close()


async def follow(client, books: Books, since: int, last: int, *, reconnects: bool) -> list[Event]:
    """Read until the last version; now and then go away, and come again with the last id."""
    dice = random.Random(since)
    events: list[Event] = []
    while not events or events[-1].data["version"] < last:
        at = events[-1].data["version"] if events else since
        async with stream(client, f"{books.path}/live", headers={"Last-Event-ID": str(at)}) as live:
            event = await live.next()
            if event.name != "ready":
                assert event.data["since"] == at
                events.append(event)
            while event.data["version"] < last and not (reconnects and dice.random() < 0.2):
                event = await live.next()
                events.append(event)
    return events


async def test_writers_and_readers_at_once(app, books, psql, database_url):
    """Each reader is told of every version, once, in order, however often it comes again."""
    since = await version_of(psql, books)
    last = since + WRITERS * WRITES
    client = signed_in(app, books)
    readers = [
        asyncio.create_task(follow(client, books, since, last, reconnects=number > 0))
        for number in range(5)
    ]
    async with asyncio.timeout(30):
        await asyncio.gather(*(write(database_url, books) for _ in range(WRITERS)))
        for events in await asyncio.gather(*readers):
            assert {event.name for event in events} == {"change"}
            assert chained(events)
            told = [version for event in events for version in event.versions]
            assert told == list(range(since + 1, last + 1))
            named = [change["version"] for event in events for change in event.data["changes"]]
            assert named == told
