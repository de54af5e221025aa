"""Signing in and out: cookies, fixation, guessing, and where one goes afterwards."""

import asyncio
from http.cookies import SimpleCookie

import pytest
from argon2 import PasswordHasher

from freshledger.accounts import passwords
from freshledger.accounts.attempts import PER_ADDRESS, PER_EMAIL
from freshledger.accounts.pages import local_path
from freshledger.web.context import hash_secret
from people import PASSWORD, another_address, come, share, sign_in


def cookie_of(response, name="freshledger"):
    for header in response.headers.getlist("Set-Cookie"):
        if name in (found := SimpleCookie(header)):
            return found[name]
    return None


async def test_signing_in(app, psql):
    ann = await come(app, psql, password=PASSWORD)
    client = app.test_client()
    form = {"email": f" {ann.email.upper()} ", "password": PASSWORD}
    answer = await client.post("/login", form=form)
    assert (answer.status_code, answer.location) == (303, "/")
    assert (await client.get("/settings")).status_code == 200


async def test_the_cookie_is_for_this_site_alone(app, psql):
    ann = await come(app, psql, password=PASSWORD)
    cookie = cookie_of(await sign_in(app, ann.email, PASSWORD))
    assert cookie["httponly"]
    assert (cookie["samesite"], cookie["path"], cookie["domain"]) == ("Lax", "/", "")
    assert int(cookie["max-age"]) == app.settings.session_hours * 3600
    assert not cookie["secure"]  # plain http, on one's own machine


async def test_over_tls_the_cookie_is_tied_to_the_host(app, psql):
    ann = await come(app, psql, password=PASSWORD)
    answer = await app.test_client().post(
        "/login",
        form={"email": ann.email, "password": PASSWORD},
        scheme="https",
        scope_base={"client": (another_address(), 1)},
    )
    cookie = cookie_of(answer, "__Host-freshledger")
    assert cookie["secure"]
    assert (cookie["path"], cookie["domain"]) == ("/", "")
    assert answer.headers["Strict-Transport-Security"]


async def test_only_the_hash_of_the_cookie_is_kept(app, psql):
    ann = await come(app, psql, password=PASSWORD)
    secret = cookie_of(await sign_in(app, ann.email, PASSWORD)).value
    assert len(secret) == 43  # 256 bits in base64
    rows = await psql.fetch("SELECT token_hash FROM sessions WHERE user_id = $1", ann.id)
    assert hash_secret(secret) in [row["token_hash"] for row in rows]


async def test_a_planted_session_is_not_kept(app, psql):
    """Fixation: whoever gave the browser its cookie gets nothing from the sign-in."""
    ann = await come(app, psql, password=PASSWORD)
    victim = app.test_client()
    victim.set_cookie("localhost", "freshledger", "planted")
    answer = await victim.post("/login", form={"email": ann.email, "password": PASSWORD})
    assert cookie_of(answer).value != "planted"
    thief = app.test_client()
    thief.set_cookie("localhost", "freshledger", "planted")
    assert (await thief.get("/settings")).location.startswith("/login")


async def test_signing_in_again_ends_the_browsers_earlier_session(app, psql):
    ann = await come(app, psql, password=PASSWORD)
    before = ann.secret
    answer = await ann.post("/login", {"email": ann.email, "password": PASSWORD})
    assert cookie_of(answer).value != before
    thief = app.test_client()
    thief.set_cookie("localhost", "freshledger", before)
    assert (await thief.get("/settings")).status_code == 303


async def test_signing_out_ends_the_session_in_the_database(app, psql):
    ann = await come(app, psql)
    answer = await ann.post("/logout")
    assert (answer.status_code, answer.location) == (303, "/login")
    assert cookie_of(answer)["max-age"] == "0"
    ann.client.set_cookie("localhost", "freshledger", ann.secret)
    assert (await ann.get("/settings")).location.startswith("/login")


async def test_an_expired_session_is_none(app, psql):
    ann = await come(app, psql)
    await psql.execute("UPDATE sessions SET expires_at = now() WHERE user_id = $1", ann.id)
    assert (await ann.get("/settings")).location.startswith("/login")


async def test_wrong_unknown_and_disabled_look_the_same(app, psql):
    ann, bob = [await come(app, psql, password=PASSWORD) for _ in range(2)]
    none = await come(app, psql)
    await psql.execute("UPDATE users SET disabled_at = now() WHERE id = $1", bob.id)
    pages = set()
    for email, password in (
        (ann.email, "wrong"),
        (bob.email, PASSWORD),
        (none.email, ""),
        ("nobody@example.org", PASSWORD),
        ("", ""),
    ):
        answer = await sign_in(app, email, password)
        assert answer.status_code == 422
        assert cookie_of(answer) is None
        pages.add((await answer.get_data(as_text=True)).replace(email or "-", "-"))
    assert all("do not belong together" in page for page in pages)


async def test_unknown_emails_cost_a_hash_too(monkeypatch):
    """Counted, for a time would not be the same twice."""
    seen = []
    verify = passwords._verify
    monkeypatch.setattr(passwords, "_verify", lambda *given: seen.append(given) or verify(*given))
    stored = await passwords.hash_password(PASSWORD)
    assert await passwords.verify_password(stored, PASSWORD)
    assert not await passwords.verify_password(None, PASSWORD)
    assert not await passwords.verify_password(None, "the password of nobody")
    assert len(seen) == 3
    parameters = {hashed.rsplit("$", 2)[0] for hashed, _ in seen}
    assert len(parameters) == 1


async def test_guessing_is_refused_and_the_refusal_is_kept(app, psql):
    ann = await come(app, psql, password=PASSWORD)
    for _ in range(PER_EMAIL):
        assert (await sign_in(app, ann.email, "wrong")).status_code == 422
    for password in ("wrong", PASSWORD):
        answer = await sign_in(app, ann.email.upper(), password)
        assert answer.status_code == 429
        assert 0 < int(answer.headers["Retry-After"]) <= 15 * 60 + 1
        assert "try again in 15 minutes" in await answer.get_data(as_text=True)
    await psql.execute("UPDATE login_failures SET at = at - interval '15 minutes'")
    assert (await sign_in(app, ann.email, PASSWORD)).status_code == 303


async def test_many_guesses_at_once_are_no_more_than_one_after_the_other(app, psql):
    ann = await come(app, psql, password=PASSWORD)
    answers = await asyncio.gather(*(sign_in(app, ann.email, "wrong") for _ in range(25)))
    codes = [answer.status_code for answer in answers]
    assert (codes.count(422), codes.count(429)) == (PER_EMAIL, 25 - PER_EMAIL)


async def test_one_address_cannot_try_many_emails(app, psql):
    address, ann = another_address(), await come(app, psql, password=PASSWORD)
    await psql.execute(
        "INSERT INTO login_failures (subject)"
        " SELECT sha256(convert_to('address:' || $1, 'UTF8')) FROM generate_series(1, $2)",
        address,
        PER_ADDRESS - 1,
    )
    assert (await sign_in(app, "x@example.org", "wrong", address=address)).status_code == 422
    assert (await sign_in(app, ann.email, PASSWORD, address=address)).status_code == 429
    assert (await sign_in(app, ann.email, PASSWORD)).status_code == 303


async def test_the_right_password_clears_the_count(app, psql):
    ann = await come(app, psql, password=PASSWORD)
    for _ in range(2):
        for _ in range(PER_EMAIL - 1):
            await sign_in(app, ann.email, "wrong")
        assert (await sign_in(app, ann.email, PASSWORD)).status_code == 303


async def test_many_right_ones_at_once(app, psql):
    """No connection is held while one is waited for: more sign-ins than connections."""
    people = [await come(app, psql, password=PASSWORD) for _ in range(app.settings.pool_size + 5)]
    garbage = {"Cookie": "freshledger=garbage"}
    forms = [{"email": one.email, "password": PASSWORD} for one in people]
    answers = await asyncio.gather(
        *(app.test_client().post("/login", form=form, headers=garbage) for form in forms)
    )
    assert {answer.status_code for answer in answers} == {303}
    assert app.database.checked_out == 0


async def test_old_hashes_are_renewed(app, psql):
    ann = await come(app, psql)
    weak = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    await psql.execute("UPDATE users SET password_hash = $1 WHERE id = $2", weak, ann.id)
    assert (await sign_in(app, ann.email, PASSWORD)).status_code == 303
    kept = await psql.fetchval("SELECT password_hash FROM users WHERE id = $1", ann.id)
    assert kept != weak
    assert (await sign_in(app, ann.email, PASSWORD)).status_code == 303


HOSTILE = [
    "https://evil.example",
    "//evil.example",
    "/\\evil.example",
    "/\t/evil.example",
    "\\\\evil.example",
    "javascript:alert(1)",
    "/\r\nSet-Cookie: a=b",
    " /ledgers",
    "ledgers",
    "",
]


@pytest.mark.parametrize("wanted", HOSTILE)
def test_no_open_redirect(wanted):
    assert local_path(wanted) is None


@pytest.mark.parametrize("wanted", ["https://evil.example", "//evil.example", "/\\evil.example"])
async def test_no_open_redirect_over_the_page(app, psql, wanted):
    ann = await come(app, psql, password=PASSWORD)
    form = {"email": ann.email, "password": PASSWORD}
    answer = await app.test_client().post("/login", query_string={"next": wanted}, form=form)
    assert answer.location == "/"
    assert (await ann.get("/login", query_string={"next": wanted})).location == "/"
    page = await app.test_client().get("/login", query_string={"next": wanted})
    assert "evil" not in await page.get_data(as_text=True)


async def test_one_goes_on_to_where_one_was_going(app, psql, books):
    ann = await come(app, psql, password=PASSWORD)
    await share(psql, books.ledger_id, ann, "viewer")
    client, wanted = app.test_client(), f"/ledgers/{books.ledger_id}/members?a=1&b=2"
    refused = await client.get(wanted)
    assert refused.status_code == 303
    form = {"email": ann.email, "password": PASSWORD}
    answer = await client.post(refused.location, form=form)
    assert answer.location == wanted
    assert (await client.get(wanted)).status_code == 200
