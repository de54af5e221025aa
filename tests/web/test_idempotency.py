"""A request that is sent again is not done again: of programs and of forms."""

import asyncio
import io
import json
from datetime import timedelta

import asyncpg
import pytest
from faults import KEPT_ELSEWHERE
from quart import Quart
from quart.datastructures import FileStorage
from quart.testing import QuartClient
from sending import Sender, count_movements, movement, new_key

from books import Books
from freshledger.web import idempotency
from freshledger.web.idempotency import FIELD, HEADER, LARGEST, _keep
from freshledger.web.session import FreshQuart
from people import come, make_ledger
from scopes import scope
from stepping import Steps, counting, disconnect, request_leaving

WALLET = {"name": "Savings"}
REPLAYED = "Idempotency-Replayed"


@pytest.fixture
def sender(client: QuartClient, books: Books) -> Sender:
    return Sender(client, books)


async def count_wallets(psql: asyncpg.Connection, books: Books) -> int:
    return await psql.fetchval("SELECT count(*) FROM wallets WHERE ledger_id = $1", books.ledger_id)


async def keys_of(psql: asyncpg.Connection, books: Books) -> list[asyncpg.Record]:
    return await psql.fetch(
        "SELECT * FROM idempotency_keys WHERE user_id = $1 AND key NOT LIKE ' %'", books.user_id
    )


async def test_the_same_answer_again_and_nothing_done_twice(sender, psql, books):
    body, key = await movement(psql, books), new_key()
    first = await sender.post("/transactions", body, key)
    again = await sender.post("/transactions", body, key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert await again.get_data() == await first.get_data()
    for name in ("Location", "Content-Type", "ETag"):
        assert again.headers.get(name) == first.headers.get(name)
    assert REPLAYED not in first.headers
    assert again.headers[REPLAYED] == "true"
    assert await count_movements(psql, books) == 1


async def test_without_a_key_each_is_one(sender, psql, books):
    body = await movement(psql, books)
    for _ in range(2):
        assert (await sender.post("/transactions", body)).status_code == 201
    assert await count_movements(psql, books) == 2


async def test_another_key_is_another_one(sender, psql, books):
    body = await movement(psql, books)
    for _ in range(2):
        assert (await sender.post("/transactions", body, new_key())).status_code == 201
    assert await count_movements(psql, books) == 2


@pytest.mark.parametrize(
    ("path", "body"),
    [("/wallets", {"name": "Other"}), ("/contacts", WALLET), ("/wallets?x=1", WALLET)],
)
async def test_another_request_with_the_same_key(sender, psql, books, path, body):
    key = new_key()
    assert (await sender.post("/wallets", WALLET, key)).status_code == 201
    response = await sender.post(path, body, key)
    assert response.status_code == 422
    problem = await response.get_json()
    assert (problem["code"], problem["field"]) == ("idempotency_key_reused", HEADER)
    assert await count_wallets(psql, books) == 1


async def test_another_method_with_the_same_key(sender, csrf):
    key = new_key()
    made = await sender.post("/wallets", WALLET, key)
    response = await sender.client.delete(made.headers["Location"], headers=csrf | {HEADER: key})
    assert response.status_code == 422


async def test_what_failed_leaves_its_key_free(sender, psql, books):
    key = new_key()
    assert (await sender.post("/wallets", {"name": ""}, key)).status_code == 422
    assert await keys_of(psql, books) == []
    assert (await sender.post("/wallets", WALLET, key)).status_code == 201


async def test_a_form_sent_again(sender, psql, books):
    key = new_key()
    first = await sender.form("/wallets", WALLET, key)
    again = await sender.form("/wallets", WALLET, key)
    assert (first.status_code, again.status_code) == (303, 303)
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Set-Cookie"] == first.headers["Set-Cookie"]  # its notice
    assert "freshledger_notice" in again.headers["Set-Cookie"]
    assert again.headers[REPLAYED] == "true"
    assert again.headers["Content-Security-Policy"]
    assert await count_wallets(psql, books) == 1


async def test_a_form_with_a_key_of_another(sender, psql, books):
    """Going back, changing the text and sending it: what was typed is there to be sent on."""
    key = new_key()
    await sender.form("/wallets", WALLET, key)
    response = await sender.form("/wallets", {"name": "Typed <anew>"}, key)
    assert response.status_code == 422
    page = await response.get_data(as_text=True)
    assert 'value="Typed &lt;anew&gt;"' in page
    assert f'action="{books.path}/wallets"' in page
    assert key not in page
    assert await count_wallets(psql, books) == 1


async def test_keys_belong_to_their_user(sender, app, psql):
    key = new_key()
    assert (await sender.post("/wallets", WALLET, key)).status_code == 201
    other = await come(app, psql)
    ledger = await make_ledger(psql, owner=other)
    response = await other.client.post(
        f"/api/v1/ledgers/{ledger}/wallets",
        json={"name": "Other"},
        headers={"X-CSRF-Token": other.csrf, HEADER: key},
    )
    assert response.status_code == 201


@pytest.mark.parametrize("key", ["", "a b", "é", "x" * 201, "tab\tbed"])
async def test_what_is_no_key(sender, psql, books, key):
    response = await sender.post("/wallets", WALLET, key)
    assert response.status_code == 422
    assert (await response.get_json())["field"] == HEADER
    response = await sender.form("/wallets", WALLET, key)
    assert response.status_code == 422
    assert await count_wallets(psql, books) == 0


async def test_the_longest_key(sender):
    for _ in range(2):
        assert (await sender.post("/wallets", WALLET, "~" * 200)).status_code == 201


async def test_a_day_later_a_key_counts_no_more(sender, psql, books):
    key = new_key()
    assert (await sender.post("/wallets", WALLET, key)).status_code == 201
    await psql.execute(
        "UPDATE idempotency_keys SET created_at = now() - $2::interval WHERE user_id = $1",
        books.user_id,
        timedelta(hours=24, seconds=1),
    )
    assert (await sender.post("/wallets", {"name": "Other"}, key)).status_code == 201
    (kept,) = await keys_of(psql, books)
    assert kept["status"] == 201


async def test_old_keys_are_forgotten_in_passing(sender, psql, books):
    await psql.execute(
        "INSERT INTO idempotency_keys (user_id, key, request, created_at)"
        " SELECT $1, n::text, '', now() - interval '2 days' FROM generate_series(1, 30) n",
        books.user_id,
    )
    left = []
    for name in ("One", "Two", "Three"):
        await sender.post("/wallets", {"name": name})
        left.append(len(await keys_of(psql, books)))
    assert left[0] >= 10, "a write must not pay for many"
    assert left[-1] == 0


async def test_equal_requests_at_the_same_time(sender, psql, books):
    """The second waits for the first's end, and is answered as the first was."""
    body, key = await movement(psql, books), new_key()
    answers = await asyncio.gather(*(sender.post("/transactions", body, key) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({await answer.get_data() for answer in answers}) == 1
    assert sum(REPLAYED in answer.headers for answer in answers) == 4
    assert await count_movements(psql, books) == 1


async def test_waiting_for_an_equal_request_is_bounded(sender, books, database_url):
    """Somebody else's transaction holds the key: 503, and with it gone the request is done."""
    key = new_key()
    other = await asyncpg.connect(database_url)
    async with asyncio.timeout(20):
        transaction = other.transaction()
        await transaction.start()
        await other.execute(
            "INSERT INTO idempotency_keys (user_id, key, request) VALUES ($1, $2, '')",
            books.user_id,
            key,
        )
        busy = await sender.post("/wallets", WALLET, key)
        assert (busy.status_code, busy.headers["Retry-After"]) == (503, "1")
        await transaction.rollback()
    await other.close()
    assert (await sender.post("/wallets", WALLET, key)).status_code == 201


async def test_a_run_that_is_repeated_does_not_meet_its_own_key(sender, psql, books):
    """A serialization failure at COMMIT rolled the first run's key back."""
    await psql.execute(f"""
        CREATE SEQUENCE once_{books.ledger_id};
        CREATE FUNCTION once_{books.ledger_id}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF nextval('once_{books.ledger_id}') = 1 THEN
            RAISE EXCEPTION 'planted' USING ERRCODE = '40001';
          END IF;
          RETURN NULL;
        END $$;
        CREATE CONSTRAINT TRIGGER once_{books.ledger_id} AFTER INSERT ON wallets
          DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
          WHEN (NEW.ledger_id = {books.ledger_id}) EXECUTE FUNCTION once_{books.ledger_id}();
    """)
    key = new_key()
    try:
        first = await sender.post("/wallets", WALLET, key)
        again = await sender.post("/wallets", WALLET, key)
    finally:
        await psql.execute(f"DROP TRIGGER once_{books.ledger_id} ON wallets")
    assert (first.status_code, again.status_code) == (201, 201)
    assert REPLAYED not in first.headers
    assert again.headers[REPLAYED] == "true"
    assert await psql.fetchval(f"SELECT last_value FROM once_{books.ledger_id}") == 2
    assert await count_wallets(psql, books) == 1


async def test_secrets_are_not_kept(app, psql):
    """A token and an invitation are shown once; whoever sends the form again is told so."""
    admin = await come(app, psql, admin=True)
    ledger = await make_ledger(psql, owner=admin)
    forms = {
        f"/ledgers/{ledger}/tokens": {"name": "Script", "scope": "write", "days": "30"},
        "/people/invitations": {"email": f"{new_key()}@example.org"},
    }
    for path, form in forms.items():
        form |= {FIELD: new_key()}
        shown = await admin.post(path, form)
        page = await shown.get_data(as_text=True)
        assert shown.status_code == 201
        again = await admin.post(path, form)
        assert again.status_code == 409
        assert "done already" in await again.get_data(as_text=True)
        assert ("fl_" in page) or ("/setup/" in page)
    kept = await psql.fetch("SELECT * FROM idempotency_keys WHERE user_id = $1", admin.id)
    assert len(kept) >= 2
    assert all(row["body"] is None and row["status"] is None for row in kept)
    assert await psql.fetchval("SELECT count(*) FROM tokens WHERE ledger_id = $1", ledger) == 1


async def test_what_was_sent_cannot_be_found_by_trying(app, psql):
    """Forms hold passwords: the same one sent by two people leaves two different digests."""
    key = new_key()
    for _ in range(2):
        person = await come(app, psql)
        assert (await person.post("/ledgers", {"name": "Same", FIELD: key})).status_code == 303
    digests = await psql.fetch("SELECT DISTINCT request FROM idempotency_keys WHERE key = $1", key)
    assert len(digests) == 2


async def test_signing_in_keeps_no_key(app, psql):
    person = await come(app, psql, password="correct horse battery")
    form = {"email": person.email, "password": "correct horse battery", FIELD: new_key()}
    response = await person.post("/login", form)
    assert response.status_code == 303
    assert "freshledger=" in response.headers["Set-Cookie"]
    found = await psql.fetchval(
        "SELECT count(*) FROM idempotency_keys WHERE user_id = $1", person.id
    )
    assert found == 0


async def test_what_is_long_is_not_kept(app):
    """The row says that it was done; the answer is not in it."""
    executed = []

    class Session:
        async def execute(self, statement, _values):
            executed.append(statement.compile().params)
            return self

        def all(self):
            return executed

    async with app.test_request_context("/"):
        for length in (LARGEST, LARGEST + 1):
            await _keep(Session(), {}, app.response_class(b"x" * length))
    assert [one["status"] for one in executed] == [200, None]


async def test_files_are_told_apart_by_their_content(sender, books):
    """Boundaries differ with every sending; names and contents count."""
    key, path = new_key(), f"{books.path}/imports"
    form = {"csrf_token": books.csrf_token, FIELD: key, "wallet": "Files"}
    seen = []
    for name, content in (("a.csv", b"a,b"), ("a.csv", b"a,b"), ("b.csv", b"a,b"), ("a.csv", b"c")):
        files = {"files": FileStorage(io.BytesIO(content), filename=name, name="files")}
        response = await sender.client.post(path, form=form, files=files)
        seen.append((response.status_code, response.headers.get(REPLAYED)))
    assert seen == [(303, None), (303, "true"), (422, None), (422, None)]


async def failed_frees_its_key(sender: Sender, _psql: asyncpg.Connection) -> None:
    key = new_key()
    assert (await sender.post("/wallets", {"name": ""}, key)).status_code == 422
    assert (await sender.post("/wallets", WALLET, key)).status_code == 201


async def equal_ones_make_one(sender: Sender, psql: asyncpg.Connection) -> None:
    body, key = await movement(psql, sender.books), new_key()
    await asyncio.gather(*(sender.post("/transactions", body, key) for _ in range(5)))
    assert await count_movements(psql, sender.books) == 1


async def left_is_done_once(sender: Sender, psql: asyncpg.Connection) -> None:
    """A client leaves at each await of a write, and sends it again."""
    app, body = sender.client.app, await movement(psql, sender.books)
    at, reached = 0, True
    with counting():
        while reached:
            at += 1
            key = new_key()
            headers = {
                "cookie": f"freshledger={sender.books.session_token}",
                "x-csrf-token": sender.books.csrf_token,
                "content-type": "application/json",
                HEADER.lower(): key,
            }
            sent = json.dumps(body).encode()
            asked = scope("POST", f"{sender.books.api}/transactions", headers)
            went = await request_leaving(app, asked, Steps(at, disconnect), body=sent)
            assert went.left == []
            there = await count_movements(psql, sender.books)
            assert there in {at - 1, at}
            again = await sender.client.post(
                f"{sender.books.api}/transactions", data=sent, headers=headers
            )
            assert again.status_code == 201
            assert (REPLAYED in again.headers) == (there == at)
            assert await count_movements(psql, sender.books) == at
            reached = went.reached
    assert at > 20


CHECKS = (failed_frees_its_key, equal_ones_make_one, left_is_done_once)
CAUGHT = [
    (failed_frees_its_key, "in a transaction before"),
    (left_is_done_once, "in a transaction before"),
    (equal_ones_make_one, "after the commit"),
    (left_is_done_once, "after the commit"),
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_holds(check, sender, psql):
    await check(sender, psql)


@pytest.mark.parametrize(("check", "where"), CAUGHT, ids=[f"{c.__name__}-{w}" for c, w in CAUGHT])
async def test_a_key_that_is_taken_elsewhere_is_caught(check, where, sender, psql, monkeypatch):
    monkeypatch.setattr(idempotency, "begin_writing", KEPT_ELSEWHERE[where])
    if check is left_is_done_once:  # between the two transactions
        monkeypatch.setattr(FreshQuart, "handle_request", Quart.handle_request)
    with pytest.raises(AssertionError):
        await check(sender, psql)


async def test_the_description_tells_of_keys(client):
    paths = (await (await client.get("/openapi.json")).get_json())["paths"]
    posts = [operations["post"] for operations in paths.values() if "post" in operations]
    assert len(posts) > 5
    for post in posts:
        assert [one["name"] for one in post["parameters"] if one["in"] == "header"] == [HEADER]
