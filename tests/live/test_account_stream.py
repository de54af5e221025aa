"""What pages outside of any ledger are told: their viewer's account, ledgers and people."""

import asyncio

import pytest
from streams import OFTEN, Client, stream

from people import PASSWORD, come, make_ledger, share, sign_in

LABEL = "INSERT INTO labels (ledger_id, name) VALUES ($1, gen_random_uuid())"


@pytest.fixture
async def ann(app, psql):
    return await come(app, psql, password=PASSWORD)


@pytest.fixture
async def admin(app, psql):
    return await come(app, psql, admin=True)


async def told(live: Client) -> None:
    event = await live.next(seconds=1)
    assert (event.name, event.id) == ("change", None)
    assert set(event.data) == {"sent"}


async def quiet(live: Client, feed) -> None:
    """Nothing is told though the feed has looked."""
    before = feed.board.confirmed_at
    async with asyncio.timeout(5):
        while feed.board.confirmed_at == before:
            feed.board.ask()
            await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        await live.next(seconds=0.05)


async def test_any_ledger_of_theirs(app, psql, ann, admin):
    ledger_id = await make_ledger(psql, owner=ann)
    foreign = await make_ledger(psql, owner=admin)
    async with stream(ann.client, "/live") as live:
        assert (await live.next()).name == "ready"
        await psql.execute(LABEL, ledger_id)
        await told(live)
        await psql.execute(LABEL, foreign)
        await quiet(live, app.feed)
        await share(psql, foreign, ann, "viewer")
        await told(live)
        await psql.execute("DELETE FROM ledgers WHERE id = $1", foreign)
        app.feed.board.ask()  # what a tick does
        await told(live)


async def test_their_account(app, psql, ann):
    async with stream(ann.client, "/live") as live:
        await live.next()
        await psql.execute("UPDATE users SET theme = 'dark' WHERE id = $1", ann.id)
        await told(live)
        assert (await sign_in(app, ann.email, PASSWORD)).status_code == 303
        await told(live)


async def test_people_are_the_admins_matter(app, psql, ann, admin):
    async with stream(ann.client, "/live") as live, stream(admin.client, "/live") as admins:
        assert (await live.next()).name == (await admins.next()).name == "ready"
        await psql.execute("INSERT INTO users (email) VALUES (gen_random_uuid())")
        await told(admins)
        await quiet(admins, app.feed)
        made = await admin.post("/people/invitations", {"email": "x@example.org"})
        assert made.status_code == 201
        await told(admins)
        await quiet(live, app.feed)


async def test_a_lost_notification(psql, ann, feeding):
    ledger_id = await make_ledger(psql, owner=ann)
    async with feeding(tick=OFTEN) as feed:
        feed.listener._hear = lambda *_: None
        async with stream(ann.client, "/live") as live:
            await live.next()
            await psql.execute(LABEL, ledger_id)
            await told(live)


async def test_nobody_is_refused(app):
    answer = await app.test_client().get("/live")
    assert answer.status_code == 303
