"""One's own settings, password and sessions."""

import pytest

from freshledger.accounts import commands
from freshledger.accounts.attempts import PER_EMAIL
from freshledger.web.context import hash_secret
from freshledger.web.idempotency import new_key
from people import PASSWORD, come, make_ledger, sign_in, version_of

CHOSEN = {"name": "Ann", "time_zone": "Europe/Berlin", "theme": "dark", "page_size": "100"}
NEW = "another horse battery"


async def test_settings_are_saved_and_change_the_etags(app, psql):
    ann = await come(app, psql)
    ledger_id = await make_ledger(psql, owner=ann)
    before = await version_of(psql, ledger_id)
    answer = await ann.post("/settings", CHOSEN)
    assert (answer.status_code, answer.location) == (303, "/settings")
    kept = await psql.fetchrow("SELECT * FROM users WHERE id = $1", ann.id)
    assert {name: str(kept[name]) for name in CHOSEN} == CHOSEN
    assert kept["settings_version"] == 2
    assert await version_of(psql, ledger_id) == before + 1  # the name stands on its pages
    page = await (await ann.get("/settings")).get_data(as_text=True)
    assert 'data-theme="dark"' in page
    assert '<option value="Europe/Berlin" selected>' in page


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "x" * 101),
        ("name", "\u202e"),
        ("time_zone", "Nowhere/Land"),
        ("time_zone", "../../etc/passwd"),
        ("theme", "pink"),
        ("page_size", "1000000"),
        ("page_size", "0"),
        ("page_size", ""),
    ],
)
async def test_settings_that_are_none(app, psql, field, value):
    ann = await come(app, psql)
    answer = await ann.post("/settings", CHOSEN | {field: value})
    assert answer.status_code == 422
    assert "field__error" in await answer.get_data(as_text=True)
    assert await psql.fetchval("SELECT settings_version FROM users WHERE id = $1", ann.id) == 1


async def test_times_are_shown_in_ones_zone(app, psql):
    ann = await come(app, psql)
    await psql.execute(
        "UPDATE sessions SET created_at = '2026-01-02 23:30:00+00' WHERE user_id = $1", ann.id
    )
    await psql.execute("UPDATE users SET time_zone = 'Asia/Tokyo' WHERE id = $1", ann.id)
    assert "2026-01-03 08:30:00" in await (await ann.get("/settings")).get_data(as_text=True)


async def test_another_password_ends_all_other_sessions(app, psql):
    ann = await come(app, psql, password=PASSWORD)
    other = app.test_client()
    await other.post("/login", form={"email": ann.email, "password": PASSWORD})
    assert (await other.get("/settings")).status_code == 200
    answer = await ann.post("/settings/password", {"current": PASSWORD, "password": NEW})
    assert answer.status_code == 303
    assert (await ann.get("/settings")).status_code == 200
    assert (await other.get("/settings")).status_code == 303
    assert (await sign_in(app, ann.email, PASSWORD)).status_code == 422
    assert (await sign_in(app, ann.email, NEW)).status_code == 303


@pytest.mark.parametrize(
    ("current", "password", "field"),
    [
        ("wrong", NEW, "current"),
        ("", NEW, "current"),
        (PASSWORD, "short", "password"),
        (PASSWORD, "x" * 1025, "password"),
        (PASSWORD, "1234567890", "password"),
        (PASSWORD, "PASSWORD123", "password"),
        (PASSWORD, "aaaaaaaaaaaa", "password"),
    ],
)
async def test_passwords_that_are_refused(app, psql, current, password, field):
    ann = await come(app, psql, password=PASSWORD)
    answer = await ann.post("/settings/password", {"current": current, "password": password})
    assert answer.status_code == 422
    assert f'id="{field}-error"' in await answer.get_data(as_text=True)
    assert (await sign_in(app, ann.email, PASSWORD)).status_code == 303


async def test_a_change_that_is_sent_twice_is_one(app, psql):
    ann = await come(app, psql, password=PASSWORD)
    form = {"current": PASSWORD, "password": NEW, "idempotency_key": new_key()}
    for _ in range(2):
        assert (await ann.post("/settings/password", form)).status_code == 303


async def test_the_present_password_cannot_be_guessed_from_an_open_browser(app, psql):
    ann = await come(app, psql, password=PASSWORD)
    for _ in range(PER_EMAIL):
        answer = await ann.post("/settings/password", {"current": "wrong", "password": NEW})
        assert answer.status_code == 422
    answer = await ann.post("/settings/password", {"current": PASSWORD, "password": NEW})
    assert answer.status_code == 429
    assert "Too many attempts" in await answer.get_data(as_text=True)


async def test_a_sign_in_that_a_password_change_overtakes_is_none(app, psql, monkeypatch):
    """The old password was right when it was checked, and is not any more when it counts."""
    ann = await come(app, psql, password=PASSWORD)
    verify = commands.verify_password

    async def overtaken(stored, password):
        right = await verify(stored, password)
        new = await commands.hash_password(NEW)
        await psql.execute("UPDATE users SET password_hash = $1 WHERE id = $2", new, ann.id)
        await psql.execute("DELETE FROM sessions WHERE user_id = $1", ann.id)
        return right

    monkeypatch.setattr(commands, "verify_password", overtaken)
    assert (await sign_in(app, ann.email, PASSWORD)).status_code == 422
    assert await psql.fetchval("SELECT count(*) FROM sessions WHERE user_id = $1", ann.id) == 0


async def test_sessions_are_listed_and_ended(app, psql):
    ann = await come(app, psql, password=PASSWORD)
    phone = app.test_client()
    agent = {"User-Agent": "Mozilla/5.0 (iPhone; CPU OS 19) AppleWebKit/605 Safari/604.1"}
    await phone.post("/login", form={"email": ann.email, "password": PASSWORD}, headers=agent)
    assert "Safari on iPhone" in await (await ann.get("/settings")).get_data(as_text=True)
    other = await psql.fetchval(
        "SELECT id FROM sessions WHERE user_id = $1 AND token_hash <> $2",
        ann.id,
        hash_secret(ann.secret),
    )
    assert (await ann.post(f"/settings/sessions/{other}/delete")).status_code == 303
    assert (await phone.get("/settings")).status_code == 303
    assert (await ann.post(f"/settings/sessions/{other}/delete")).status_code == 404


async def test_signing_out_everywhere_else(app, psql):
    ann = await come(app, psql, password=PASSWORD)
    phone = app.test_client()
    await phone.post("/login", form={"email": ann.email, "password": PASSWORD})
    assert (await ann.post("/settings/sessions/delete")).status_code == 303
    assert (await phone.get("/settings")).status_code == 303
    assert (await ann.get("/settings")).status_code == 200


async def test_somebody_elses_session_is_not_found(app, psql):
    ann, eve = await come(app, psql), await come(app, psql)
    which = await psql.fetchval("SELECT id FROM sessions WHERE user_id = $1", ann.id)
    assert (await eve.post(f"/settings/sessions/{which}/delete")).status_code == 404
    assert (await ann.get("/settings")).status_code == 200
