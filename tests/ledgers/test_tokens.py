"""API tokens: shown once, kept hashed, never more than their holder may do."""

import asyncio
import re

import pytest

from freshledger.errors import Busy
from freshledger.web.context import hash_secret
from people import Person, come, make_ledger, version_of

FORM = {"name": "Backup", "scope": "read", "days": "30"}


async def make_token(person: Person, ledger_id: int, **form: str) -> str:
    answer = await person.post(f"/ledgers/{ledger_id}/tokens", FORM | form)
    assert answer.status_code == 201
    page = await answer.get_data(as_text=True)
    return re.search(rf"fl_{ledger_id}_[\w-]{{43}}", page)[0]


async def call(app, token, path, method="GET", more=None, **options):
    headers = {"Authorization": f"Bearer {token}"} | (more or {})
    client = app.test_client()
    answer = await client.open(path, method=method, headers=headers, **options)
    await asyncio.gather(*app.background_tasks)
    return answer


async def test_a_token_is_shown_once_and_kept_hashed(app, psql):
    ann = await come(app, psql)
    ledger_id = await make_ledger(psql, owner=ann)
    token = await make_token(ann, ledger_id)
    page = await (await ann.get(f"/ledgers/{ledger_id}/tokens")).get_data(as_text=True)
    assert "Backup" in page
    assert token not in page
    kept = await psql.fetchrow("SELECT * FROM tokens WHERE ledger_id = $1", ledger_id)
    assert kept["token_hash"] == hash_secret(token)
    assert token.rpartition("_")[2] not in str(dict(kept))
    lasts = kept["expires_at"] - kept["created_at"]
    assert lasts.total_seconds() == pytest.approx(30 * 86400, abs=60)


async def test_it_reads_its_ledger_alone(app, psql):
    ann = await come(app, psql)
    ledger_id, other = [await make_ledger(psql, owner=ann) for _ in range(2)]
    token = await make_token(ann, ledger_id, scope="write")
    answer = await call(app, token, "/api/v1/ledgers")
    assert [one["id"] for one in (await answer.get_json())["ledgers"]] == [ledger_id]
    assert (await call(app, token, f"/api/v1/ledgers/{ledger_id}")).status_code == 200
    refused = await call(app, token, f"/api/v1/ledgers/{other}")
    assert refused.status_code == 404
    assert refused.content_type == "application/problem+json"


@pytest.mark.parametrize("path", ["/ledgers", "/settings", "/people", "/ledgers/{}/tokens"])
async def test_it_opens_no_page(app, psql, path):
    admin = await come(app, psql, admin=True)
    ledger_id = await make_ledger(psql, owner=admin)
    token = await make_token(admin, ledger_id, scope="write")
    for method in ("GET", "POST"):
        answer = await call(app, token, path.format(ledger_id), method)
        assert answer.status_code in {403, 405}, method


async def test_it_changes_no_account(app, psql):
    ann = await come(app, psql)
    token = await make_token(ann, await make_ledger(psql, owner=ann), scope="write")
    for path in ("/settings", "/settings/password", "/settings/sessions/delete", "/ledgers"):
        assert (await call(app, token, path, "POST")).status_code == 403
    assert await psql.fetchval("SELECT settings_version FROM users WHERE id = $1", ann.id) == 1


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE tokens SET revoked_at = now() WHERE ledger_id = $1",
        "UPDATE tokens SET expires_at = now() WHERE ledger_id = $1",
        "DELETE FROM members WHERE ledger_id = $1",
        "DELETE FROM ledgers WHERE id = $1",
    ],
)
async def test_it_ends_at_once(app, psql, change):
    ann = await come(app, psql)
    ledger_id = await make_ledger(psql, owner=ann)
    token = await make_token(ann, ledger_id)
    assert (await call(app, token, f"/api/v1/ledgers/{ledger_id}")).status_code == 200
    await psql.execute(change, ledger_id)
    assert (await call(app, token, f"/api/v1/ledgers/{ledger_id}")).status_code == 401


@pytest.mark.parametrize(
    "token", ["", "fl_", "fl_1", "fl_1_", "fl_1_x", "fl_²_x", "fl_" + "9" * 40 + "_x", "x", "\x00"]
)
async def test_tokens_that_are_none(app, token):
    assert (await call(app, token, "/api/v1/ledgers")).status_code == 401


async def test_a_proxys_own_password_is_no_token(app, psql):
    ann = await come(app, psql)
    answer = await ann.get("/settings", headers={"Authorization": "Basic YTpi"})
    assert answer.status_code == 200


async def test_revoking(app, psql):
    ann, bob = await come(app, psql), await come(app, psql)
    ledger_id = await make_ledger(psql, owner=ann, editor=bob)
    mine, theirs = await make_token(ann, ledger_id), await make_token(bob, ledger_id)
    ids = [row[0] for row in await psql.fetch("SELECT id FROM tokens WHERE ledger_id = $1"
                                              " ORDER BY id", ledger_id)]  # fmt: skip
    path = f"/ledgers/{ledger_id}/tokens"
    assert (await bob.post(f"{path}/{ids[0]}/delete")).status_code == 404
    assert (await call(app, mine, f"/api/v1/ledgers/{ledger_id}")).status_code == 200
    page = await (await bob.get(path)).get_data(as_text=True)
    assert f"{path}/{ids[1]}/delete" in page
    assert f"{path}/{ids[0]}/delete" not in page
    assert (await ann.post(f"{path}/{ids[1]}/delete")).status_code == 303
    assert (await call(app, theirs, f"/api/v1/ledgers/{ledger_id}")).status_code == 401
    assert (await ann.post(f"{path}/{ids[1]}/delete")).status_code == 404


async def test_a_member_who_left_has_no_token_after_coming_back(app, psql):
    ann, bob = await come(app, psql), await come(app, psql)
    ledger_id = await make_ledger(psql, owner=ann, editor=bob)
    token = await make_token(bob, ledger_id)
    await bob.post(f"/ledgers/{ledger_id}/leave")
    form = {"email": bob.email, "role": "owner"}
    assert (await ann.post(f"/ledgers/{ledger_id}/members", form)).status_code == 303
    assert (await call(app, token, f"/api/v1/ledgers/{ledger_id}")).status_code == 401


@pytest.mark.parametrize(
    "wrong",
    [{"name": ""}, {"scope": "admin"}, {"scope": ""}, {"days": "0"}, {"days": "-1"},
     {"days": "9" * 30}, {"days": "soon"}, {"days": "²"}],
)  # fmt: skip
async def test_wrong_forms(app, psql, wrong):
    ann = await come(app, psql)
    ledger_id = await make_ledger(psql, owner=ann)
    answer = await ann.post(f"/ledgers/{ledger_id}/tokens", FORM | wrong)
    assert answer.status_code == 422
    assert f'id="{next(iter(wrong))}-error"' in await answer.get_data(as_text=True)
    assert await psql.fetchval("SELECT count(*) FROM tokens WHERE ledger_id = $1", ledger_id) == 0


async def test_last_use_is_noted_once_a_minute_and_moves_no_version(app, psql):
    ann = await come(app, psql)
    ledger_id = await make_ledger(psql, owner=ann)
    token = await make_token(ann, ledger_id)
    before, path = await version_of(psql, ledger_id), f"/api/v1/ledgers/{ledger_id}"
    tag = (await call(app, token, path)).headers["ETag"]
    await psql.execute("DELETE FROM token_uses WHERE ledger_id = $1", ledger_id)
    seen = []
    for age, given in (
        ("0 seconds", {}), ("50 seconds", {}), ("61 seconds", {}),
        ("50 seconds", {"If-None-Match": tag}), ("61 seconds", {"If-None-Match": tag}),
    ):  # fmt: skip
        await psql.execute("UPDATE token_uses SET last_used_at = now() - $2::text::interval"
                           " WHERE ledger_id = $1", ledger_id, age)  # fmt: skip
        aged = await psql.fetchval(
            "SELECT last_used_at FROM token_uses WHERE ledger_id = $1", ledger_id
        )
        answer = await call(app, token, path, more=given)
        assert answer.status_code == (304 if given else 200)
        used = await psql.fetchval(
            "SELECT last_used_at FROM token_uses WHERE ledger_id = $1", ledger_id
        )
        seen.append(used != aged)
    assert seen == [True, False, True, False, True]
    assert await version_of(psql, ledger_id) == before
    page = await (await ann.get(f"/ledgers/{ledger_id}/tokens")).get_data(as_text=True)
    assert f"{used:%Y-%m-%d %H:%M:%S}" in page


@pytest.mark.parametrize(("error", "told"), [(Busy("away"), False), (KeyError("x"), True)])
async def test_a_use_that_cannot_be_noted_is_no_error(app, psql, monkeypatch, caplog, error, told):
    ann = await come(app, psql)
    ledger_id = await make_ledger(psql, owner=ann)
    token = await make_token(ann, ledger_id)

    async def fail(*_arguments, **_names):
        raise error

    monkeypatch.setattr("freshledger.ledgers.tokens.note_use", fail)
    assert (await call(app, token, f"/api/v1/ledgers/{ledger_id}")).status_code == 200
    assert any(record.levelname == "ERROR" for record in caplog.records) == told


async def test_the_api_shows_role_version_and_counts(app, psql):
    ann = await come(app, psql)
    ledger_id = await make_ledger(psql, viewer=ann)
    await psql.execute(
        "INSERT INTO labels (ledger_id, name, color) VALUES ($1, 'a', 'blue')", ledger_id
    )
    expected = {
        "id": ledger_id,
        "name": "Books",
        "role": "viewer",
        "version": await version_of(psql, ledger_id),
        "archived": False,
        "counts": {"transactions": 0, "wallets": 0, "contacts": 0, "labels": 1},
    }
    assert await (await ann.get(f"/api/v1/ledgers/{ledger_id}")).get_json() == expected
    assert await (await ann.get("/api/v1/ledgers")).get_json() == {"ledgers": [expected]}


async def test_a_token_can_be_revoked_whatever_became_of_role_and_ledger(app, psql):
    ann, bob = await come(app, psql), await come(app, psql)
    ledger_id = await make_ledger(psql, owner=ann, editor=bob)
    token = await make_token(bob, ledger_id)
    path = f"/ledgers/{ledger_id}/tokens"
    await psql.execute("UPDATE members SET role = 'viewer' WHERE user_id = $1", bob.id)
    await psql.execute("UPDATE ledgers SET archived_at = now() WHERE id = $1", ledger_id)
    page = await (await bob.get(path)).get_data(as_text=True)
    (revoke,) = re.findall(rf"{path}/\d+/delete", page)
    assert (await bob.post(revoke)).status_code == 303
    assert (await call(app, token, f"/api/v1/ledgers/{ledger_id}")).status_code == 401


async def test_the_apis_description_is_public_with_a_token_too(app, psql):
    ann = await come(app, psql)
    token = await make_token(ann, await make_ledger(psql, owner=ann))
    for path in ("/openapi.json", "/api/docs"):
        assert (await call(app, token, path)).status_code == 200
