"""What protects a browser: headers, and the refusal of what other sites send."""

import pytest

from people import come, make_ledger

HERE = "http://localhost"
CHOSEN = {"name": "Ann", "time_zone": "UTC", "theme": "auto", "page_size": "50"}


async def is_saved(psql, person):
    version = await psql.fetchval("SELECT settings_version FROM users WHERE id = $1", person.id)
    return version == 2


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": HERE},
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "http://localhost:8001"},
        {"Origin": "null"},
        {"Origin": "http://["},
    ],
)
async def test_another_sites_form_is_refused(app, psql, headers):
    ann = await come(app, psql)
    answer = await ann.post("/settings", CHOSEN, headers=headers)
    assert answer.status_code == 403
    assert not await is_saved(psql, ann)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": HERE},
        {"Sec-Fetch-Site": "same-origin", "Origin": HERE},
    ],
)
async def test_ones_own_form_is_taken(app, psql, headers):
    ann = await come(app, psql)
    assert (await ann.post("/settings", CHOSEN, headers=headers)).status_code == 303
    assert await is_saved(psql, ann)


@pytest.mark.parametrize("token", [None, "", "wrong", "ä", "0" * 64])
async def test_a_form_without_its_token_is_refused(app, psql, token):
    ann = await come(app, psql)
    form = CHOSEN if token is None else CHOSEN | {"csrf_token": token}
    answer = await ann.client.post("/settings", form=form)
    assert answer.status_code == 403
    assert "reload the page" in await answer.get_data(as_text=True)
    assert not await is_saved(psql, ann)


async def test_the_token_of_another_session_is_refused(app, psql):
    ann, eve = await come(app, psql), await come(app, psql)
    answer = await ann.client.post("/settings", form=CHOSEN | {"csrf_token": eve.csrf})
    assert answer.status_code == 403


async def test_a_script_sends_the_token_in_a_header(app, psql):
    ann = await come(app, psql)
    answer = await ann.client.post("/settings", form=CHOSEN, headers={"X-CSRF-Token": ann.csrf})
    assert answer.status_code == 303


async def test_another_site_cannot_sign_a_browser_in(app):
    """Login CSRF: there is no session yet that a token could belong to."""
    form = {"email": "eve@example.org", "password": "x"}
    headers = {"Sec-Fetch-Site": "cross-site"}
    answer = await app.test_client().post("/login", form=form, headers=headers)
    assert answer.status_code == 403


@pytest.mark.parametrize("path", ["/login", "/ledgers", "/ledgers/{}", "/settings", "/nowhere"])
async def test_headers_of_pages(app, psql, path):
    ann = await come(app, psql)
    answer = await ann.get(path.format(await make_ledger(psql, owner=ann)))
    policy = answer.headers["Content-Security-Policy"]
    for rule in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"):
        assert rule in policy
    assert "unsafe" not in policy
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert "Strict-Transport-Security" not in answer.headers


async def test_names_are_text_never_markup(app, psql):
    ann = await come(app, psql)
    name = "<script>alert(1)</script>\"'&"
    ledger_id = await make_ledger(psql, owner=ann)
    await psql.execute("UPDATE ledgers SET name = $1 WHERE id = $2", name, ledger_id)
    await psql.execute("UPDATE users SET name = $1 WHERE id = $2", name, ann.id)
    ledger = f"/ledgers/{ledger_id}"
    for path in ("/ledgers", ledger, f"{ledger}/members", f"{ledger}/tokens", "/settings"):
        page = await (await ann.get(path)).get_data(as_text=True)
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/login", {"email": "a\0b", "password": "x"}),
        ("/ledgers/{}/members", {"email": "a\0b", "role": "viewer"}),
        ("/ledgers/{}/labels?q=a%00b", None),
        ("/ledgers/{}/contacts/options?q=a%00b", None),
    ],
)
async def test_text_that_postgresql_cannot_hold_is_no_failure(app, psql, path, form):
    ann = await come(app, psql)
    path = path.format(await make_ledger(psql, owner=ann))
    answer = await (ann.get(path) if form is None else ann.post(path, form))
    assert answer.status_code == 422
    assert "NUL" in await answer.get_data(as_text=True)
