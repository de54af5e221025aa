"""The administrator's page."""

import pytest

from people import PASSWORD, come, make_ledger, sign_in


async def test_who_has_an_account(app, psql):
    admin, ann = await come(app, psql, admin=True), await come(app, psql)
    page = await (await admin.get("/people")).get_data(as_text=True)
    assert ann.email in page
    assert "administrator" in page


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/people"),
        ("POST", "/people/invitations"),
        ("POST", "/people/invitations/1/delete"),
        ("POST", "/people/{id}/disable"),
        ("POST", "/people/{id}/enable"),
    ],
)
async def test_only_administrators(app, psql, method, path):
    eve, ann = await come(app, psql), await come(app, psql)
    path = path.format(id=ann.id)
    answer = await (eve.get(path) if method == "GET" else eve.post(path))
    assert answer.status_code == 403
    assert "administrator" in await answer.get_data(as_text=True)
    assert (await ann.get("/settings")).status_code == 200


async def test_a_disabled_users_sessions_and_tokens_end_at_once(app, psql):
    admin, ann = await come(app, psql, admin=True), await come(app, psql, password=PASSWORD)
    ledger_id = await make_ledger(psql, owner=ann)
    made = await ann.post(f"/ledgers/{ledger_id}/tokens", {"name": "a", "scope": "read"})
    page = await made.get_data(as_text=True)
    token = page.partition('<code class="hash">')[2].partition("<")[0]
    bearer = {"Authorization": f"Bearer {token}"}
    api = app.test_client()
    assert (await api.get("/api/v1/ledgers", headers=bearer)).status_code == 200

    assert (await admin.post(f"/people/{ann.id}/disable")).status_code == 303
    assert (await ann.get("/settings")).status_code == 303
    assert (await api.get("/api/v1/ledgers", headers=bearer)).status_code == 401
    assert (await sign_in(app, ann.email, PASSWORD)).status_code == 422

    assert (await admin.post(f"/people/{ann.id}/enable")).status_code == 303
    assert (await ann.get("/settings")).status_code == 303  # the old session stays ended
    assert (await sign_in(app, ann.email, PASSWORD)).status_code == 303


async def test_disabled_in_psql(app, psql):
    ann = await come(app, psql)
    await psql.execute("UPDATE users SET disabled_at = now() WHERE id = $1", ann.id)
    assert (await ann.get("/settings")).status_code == 303


async def test_nobody_disables_themselves(app, psql):
    admin = await come(app, psql, admin=True)
    assert (await admin.post(f"/people/{admin.id}/disable")).status_code == 409
    assert (await admin.get("/people")).status_code == 200


async def test_nobody_there(app, psql):
    admin = await come(app, psql, admin=True)
    for path in ("/people/999999999/disable", "/people/999999999/enable"):
        assert (await admin.post(path)).status_code == 404
    assert (await admin.post("/people/invitations/999999999/delete")).status_code == 404
