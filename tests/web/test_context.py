"""Who asks, and for which ledger: refused by default."""

import pytest
from quart import Quart

from freshledger.errors import NotFound, Unauthenticated
from freshledger.web import context
from people import come, make_ledger

PUBLIC = {
    "static",
    "home",
    "openapi",
    "api_docs",
    "accounts.login",
    "accounts.sign_in",
    "accounts.setup",
    "accounts.accept_setup",
}
"""All that may be asked without signing in; home sends everybody on."""


def path_of(app, rule):
    values = dict.fromkeys(rule.arguments, 1)
    return app.url_map.bind("localhost").build(
        rule.endpoint, values, method=next(iter(rule.methods))
    )


async def test_every_view_but_these_asks_who_it_is(app):
    open_to_all = set()
    for rule in app.url_map.iter_rules():
        if rule.endpoint == "static":
            continue
        for method in rule.methods - {"OPTIONS", "HEAD"}:
            answer = await app.test_client().open(path_of(app, rule), method=method)
            refused = answer.status_code == 401 or (
                answer.status_code == 303 and answer.location.startswith("/login")
            )
            if not refused:
                open_to_all.add(rule.endpoint)
    assert open_to_all <= PUBLIC


async def test_a_page_sends_one_to_the_sign_in_and_the_api_says_so(app):
    page = await app.test_client().get("/ledgers/1?asset=ETH")
    assert page.location == "/login?next=/ledgers/1?asset%3DETH"
    form = await app.test_client().post("/ledgers/1")
    assert form.location == "/login"
    answer = await app.test_client().get("/api/v1/ledgers")
    assert answer.status_code == 401
    assert (await answer.get_json())["code"] == "unauthenticated"


@pytest.mark.parametrize("ledger", ["0", "999999999", "9" * 30, "-1", "x"])
async def test_a_ledger_that_is_none(app, psql, ledger):
    ann = await come(app, psql)
    assert (await ann.get(f"/ledgers/{ledger}")).status_code == 404
    assert (await ann.get(f"/api/v1/ledgers/{ledger}")).status_code == 404


async def test_roles(app, psql):
    people = {role: await come(app, psql) for role in context.ROLES}
    path = f"/ledgers/{await make_ledger(psql, **people)}"
    form = {"name": "Books", "was": "Books", "scope": "read", "days": "1"}
    asked = [("rename", path, form), ("make a token", f"{path}/tokens", form)]
    allowed = {
        what: {
            role for role, one in people.items() if (await one.post(url, sent)).status_code < 400
        }
        for what, url, sent in asked
    }
    assert allowed == {"rename": {"owner"}, "make a token": {"owner", "editor"}}


async def test_a_role_that_changed_counts_at_once(app, psql):
    ann = await come(app, psql)
    ledger_id = await make_ledger(psql, owner=ann)
    await psql.execute("UPDATE members SET role = 'viewer' WHERE ledger_id = $1", ledger_id)
    assert (await ann.post(f"/ledgers/{ledger_id}", {"name": "x"})).status_code == 403
    await psql.execute("DELETE FROM members WHERE ledger_id = $1", ledger_id)
    assert (await ann.get(f"/ledgers/{ledger_id}")).status_code == 404


async def test_what_is_written_names_its_user(app, psql):
    ann = await come(app, psql)
    ledger_id = await make_ledger(psql, owner=ann)
    await ann.post(f"/ledgers/{ledger_id}", {"name": "New", "was": "Books"})
    query = "SELECT actor FROM changes WHERE ledger_id = $1 ORDER BY part DESC LIMIT 1"
    assert await psql.fetchval(query, ledger_id) == f"user:{ann.id}"


async def test_outside_of_a_request_nobody_asks():
    app = Quart(__name__)
    app.request_class = context.ViewerRequest
    assert context.find_viewer() is None
    async with app.test_request_context("/"):
        with pytest.raises(Unauthenticated):
            context.viewer()
        with pytest.raises(NotFound):
            context.ledger()
