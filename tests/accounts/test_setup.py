"""The first account, and invited ones: one-time links, never "whoever comes first"."""

import asyncio
import re

import asyncpg
import pytest

from freshledger.accounts import commands, passwords
from freshledger.accounts.commands import setup_link
from freshledger.app import Freshledger, create_app
from freshledger.settings import Settings
from freshledger.web.context import hash_secret
from people import PASSWORD, come

ANN = {
    "email": "ann@example.org",
    "name": "Ann Example",
    "password": PASSWORD,
    "ledger_name": "Household",
}


@pytest.fixture
async def fresh(own_database: str, tmp_path):
    """An application that nobody has set up."""
    app = create_app(Settings(data_dir=tmp_path, database_url=own_database))
    async with app.test_app():
        yield app


@pytest.fixture
async def rows(own_database: str):
    connection = await asyncpg.connect(own_database)
    yield connection
    await connection.close()


async def new_link(app: Freshledger) -> str | None:
    async with app.database.write.begin() as session:
        link = await setup_link(session, "http://localhost")
    return link and link.removeprefix("http://localhost")


async def test_the_link_makes_an_administrator_with_a_ledger_and_signs_in(fresh, rows):
    link, client = await new_link(fresh), fresh.test_client()
    assert "Set up freshledger" in await (await client.get(link)).get_data(as_text=True)
    answer = await client.post(link, form=ANN)
    assert (answer.status_code, answer.location) == (303, "/ledgers")
    assert "Household" in await (await client.get("/ledgers")).get_data(as_text=True)
    user = await rows.fetchrow("SELECT id, email, name, is_admin FROM users")
    assert tuple(user)[1:] == ("ann@example.org", "Ann Example", True)
    assert await rows.fetchval("SELECT role FROM members WHERE user_id = $1", user["id"]) == "owner"


async def test_the_link_is_random_and_only_its_hash_is_kept(fresh, rows):
    link = await new_link(fresh)
    secret = link.removeprefix("/setup/")
    assert len(secret) == 43  # 256 bits in base64
    kept = await rows.fetchrow("SELECT *, expires_at - created_at AS lasts FROM invitations")
    assert kept["token_hash"] == hash_secret(secret)
    assert secret not in str(dict(kept))
    assert kept["lasts"].total_seconds() == pytest.approx(24 * 3600, abs=5)


async def test_the_link_works_once(fresh):
    link = await new_link(fresh)
    assert (await fresh.test_client().post(link, form=ANN)).status_code == 303
    again = await fresh.test_client().post(link, form=ANN | {"email": "eve@example.org"})
    assert again.status_code == 404
    assert (await fresh.test_client().get(link)).status_code == 404


async def test_of_two_tabs_at_once_one_wins(fresh, rows, monkeypatch):
    """All have seen a link that is good before any of them uses it."""
    arrived, all_there = [], asyncio.Event()

    async def together(password):
        arrived.append(password)
        if len(arrived) == 4:
            all_there.set()
        await all_there.wait()
        return await passwords.hash_password(password)

    monkeypatch.setattr(commands, "hash_password", together)
    link = await new_link(fresh)
    forms = [ANN | {"email": f"{name}@example.org"} for name in ("ann", "eve", "bob", "joe")]
    answers = await asyncio.gather(*(fresh.test_client().post(link, form=form) for form in forms))
    assert sorted(answer.status_code for answer in answers) == [303, 404, 404, 404]
    assert await rows.fetchval("SELECT count(*) FROM users") == 1
    assert await rows.fetchval("SELECT count(*) FROM ledgers") == 1
    assert await rows.fetchval("SELECT count(*) FROM sessions") == 1


async def test_a_new_start_replaces_the_link(fresh):
    first, second = await new_link(fresh), await new_link(fresh)
    assert (await fresh.test_client().get(first)).status_code == 404
    assert (await fresh.test_client().get(second)).status_code == 200


async def test_two_servers_links_at_once(fresh, rows):
    """Two started at the same moment, so that each has a link that is good."""
    link, other = await new_link(fresh), "b" * 43
    await rows.execute(
        "INSERT INTO invitations (token_hash, is_admin, expires_at)"
        " VALUES ($1, true, now() + interval '1 day')",
        hash_secret(other),
    )
    links = (link, f"/setup/{other}")
    answers = await asyncio.gather(
        *(
            fresh.test_client().post(link, form=ANN | {"email": f"{number}@example.org"})
            for number, link in enumerate(links)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [303, 404]
    assert await rows.fetchval("SELECT count(*) FROM users") == 1


async def test_an_old_link_is_refused(fresh, rows):
    link = await new_link(fresh)
    await rows.execute("UPDATE invitations SET expires_at = now()")
    assert (await fresh.test_client().post(link, form=ANN)).status_code == 404
    assert await rows.fetchval("SELECT count(*) FROM users") == 0


async def test_no_link_while_there_is_a_user(fresh, rows):
    link = await new_link(fresh)
    await rows.execute("INSERT INTO users (email) VALUES ('somebody@example.org')")
    assert await new_link(fresh) is None
    assert (await fresh.test_client().post(link, form=ANN)).status_code == 404


async def test_nobody_becomes_administrator_without_the_link(fresh, rows):
    for path in ("/setup/", "/setup/guess", "/setup", "/", "/people", "/ledgers"):
        await fresh.test_client().post(path, form=ANN)
    assert await rows.fetchval("SELECT count(*) FROM users") == 0
    page = await (await fresh.test_client().get("/login")).get_data(as_text=True)
    assert "set-up link" in page


async def test_a_mistake_leaves_the_link_good(fresh, rows):
    link = await new_link(fresh)
    for wrong in (
        {"email": "nonsense"},
        {"password": "short"},
        {"password": "password123"},
        {"password": "ann@example.org"},
        {"ledger_name": " "},
        {"name": "x" * 101},
    ):
        answer = await fresh.test_client().post(link, form=ANN | wrong)
        assert answer.status_code == 422, wrong
        page = await answer.get_data(as_text=True)
        assert 'aria-invalid="true"' in page, wrong
        assert "correct horse" not in page
    assert await rows.fetchval("SELECT count(*) FROM users") == 0
    assert (await fresh.test_client().post(link, form=ANN)).status_code == 303


async def test_the_first_user_owns_what_nobody_owns(fresh, rows):
    """The demo's ledger, for example; then a name for another is optional."""
    await rows.execute("INSERT INTO ledgers (name) VALUES ('Demo')")
    link = await new_link(fresh)
    await fresh.test_client().post(link, form=ANN | {"ledger_name": ""})
    owned = await rows.fetch(
        "SELECT name, role FROM members JOIN ledgers ON ledgers.id = ledger_id"
    )
    assert [tuple(row) for row in owned] == [("Demo", "owner")]


async def test_an_invitation(app, psql):
    admin = await come(app, psql, admin=True)
    email = f"new-{admin.email}"
    answer = await admin.post("/people/invitations", {"email": email})
    assert answer.status_code == 201
    path = re.search(r"http://localhost(/setup/[\w-]{43})", await answer.get_data(as_text=True))[1]
    page = await (await admin.get("/people")).get_data(as_text=True)
    assert email in page
    assert path not in page
    newcomer = app.test_client()
    taken = await newcomer.post(path, form=ANN | {"email": "other@example.org"})
    assert taken.status_code == 303
    assert email in await (await newcomer.get("/settings")).get_data(as_text=True)
    row = await psql.fetchrow("SELECT is_admin, id FROM users WHERE email = $1", email)
    assert row["is_admin"] is False
    assert await psql.fetchval("SELECT count(*) FROM members WHERE user_id = $1", row["id"]) == 0
    assert (await newcomer.get("/people")).status_code == 403
    assert (await app.test_client().post(path, form=ANN)).status_code == 404


async def test_an_invitation_taken_back(app, psql):
    admin = await come(app, psql, admin=True)
    email = f"new-{admin.email}"
    answer = await admin.post("/people/invitations", {"email": email})
    path = re.search(r"/setup/[\w-]{43}", await answer.get_data(as_text=True))[0]
    which = await psql.fetchval("SELECT id FROM invitations WHERE email = $1", email)
    assert (await admin.post(f"/people/invitations/{which}/delete")).status_code == 303
    assert (await app.test_client().get(path)).status_code == 404


@pytest.mark.parametrize("email", ["", "nonsense", "a@b@c", "x y@example.org", "a" * 300 + "@b"])
async def test_invitations_need_an_email(app, psql, email):
    admin = await come(app, psql, admin=True)
    assert (await admin.post("/people/invitations", {"email": email})).status_code == 422


async def test_somebody_who_has_an_account_is_not_invited(app, psql):
    admin, other = await come(app, psql, admin=True), await come(app, psql)
    answer = await admin.post("/people/invitations", {"email": other.email.upper()})
    assert answer.status_code == 409
