"""Ledgers: made, named, shared, left, archived, deleted."""

import asyncio

import pytest

from people import come, make_ledger, share, version_of


async def role_of(psql, ledger_id, person):
    query = "SELECT role FROM members WHERE ledger_id = $1 AND user_id = $2"
    return await psql.fetchval(query, ledger_id, person.id)


async def text_of(response):
    return await response.get_data(as_text=True)


async def test_making_one(app, psql):
    ann = await come(app, psql)
    assert "You have no ledger yet" in await text_of(await ann.get("/ledgers"))
    answer = await ann.post("/ledgers", {"name": "  House \n hold "})
    assert answer.status_code == 303
    page = await text_of(await ann.get("/ledgers"))
    assert "House hold" in page
    ledger_id = int(answer.location.rpartition("/")[2])
    assert await role_of(psql, ledger_id, ann) == "owner"
    made_by = await psql.fetchval(
        "SELECT DISTINCT actor FROM changes WHERE ledger_id = $1", ledger_id
    )
    assert made_by == f"user:{ann.id}"


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "\u202e", "\x00"])
async def test_names_that_are_none(app, psql, name):
    ann = await come(app, psql)
    answer = await ann.post("/ledgers", {"name": name})
    assert answer.status_code == 422
    assert 'id="name-error"' in await text_of(answer)


async def test_what_cannot_be_seen_is_no_part_of_a_name(app, psql):
    ann = await come(app, psql)
    assert (await ann.post("/ledgers", {"name": "a\u202eb\x00c\x1b[2Jd"})).status_code == 303
    assert "abc[2Jd" in await text_of(await ann.get("/ledgers"))


async def test_the_list_counts_and_shows_only_ones_own(app, psql):
    ann, eve = await come(app, psql), await come(app, psql)
    ledger_id = await make_ledger(psql, owner=ann)
    await psql.execute("INSERT INTO labels (ledger_id, name, color) SELECT $1, g::text, 'blue'"
                       " FROM generate_series(1, 1234) g", ledger_id)  # fmt: skip
    page = await text_of(await ann.get("/ledgers"))
    assert "1,234" in page
    assert "You have no ledger yet" in await text_of(await eve.get("/ledgers"))


async def test_renaming(app, psql):
    ann = await come(app, psql)
    ledger_id = await make_ledger(psql, owner=ann)
    before = await version_of(psql, ledger_id)
    assert (
        await ann.post(f"/ledgers/{ledger_id}", {"name": "New", "was": "Books"})
    ).status_code == 303
    assert "<h1>New</h1>" in await text_of(await ann.get(f"/ledgers/{ledger_id}"))
    assert await version_of(psql, ledger_id) == before + 1
    assert (await ann.post(f"/ledgers/{ledger_id}", {"name": "", "was": "New"})).status_code == 422


async def test_an_archived_ledger_can_be_read_and_reopened_only(app, psql):
    ann, bob = await come(app, psql), await come(app, psql)
    ledger_id = await make_ledger(psql, owner=ann, editor=bob)
    path = f"/ledgers/{ledger_id}"
    assert (await bob.post(f"{path}/archive")).status_code == 403
    assert (await ann.post(f"{path}/archive")).status_code == 303
    for page in (path, f"{path}/members", f"{path}/tokens"):
        assert (await bob.get(page)).status_code == 200
    for action, form in ((path, {"name": "x"}), (f"{path}/members", {}), (f"{path}/tokens", {})):
        refused = await ann.post(action, form)
        assert refused.status_code == 403
        assert "archived" in await text_of(refused)
    assert (await bob.post(f"{path}/reopen")).status_code == 403
    assert (await ann.post(f"{path}/reopen")).status_code == 303
    assert (await ann.post(path, {"name": "x", "was": "Books"})).status_code == 303


async def test_deleting_needs_the_name(app, psql):
    ann, bob = await come(app, psql), await come(app, psql)
    ledger_id = await make_ledger(psql, owner=ann, editor=bob)
    path = f"/ledgers/{ledger_id}"
    assert (await bob.post(f"{path}/delete", {"typed_name": "Books"})).status_code == 403
    for typed in ("", "books", "Book"):
        answer = await ann.post(f"{path}/delete", {"typed_name": typed})
        assert answer.status_code == 422
        assert "nothing was deleted" in await text_of(answer)
    await ann.post(f"{path}/archive")
    answer = await ann.post(f"{path}/delete", {"typed_name": "Books"})
    assert (answer.status_code, answer.location) == (303, "/ledgers")
    assert (await ann.get(path)).status_code == 404
    for table in ("ledgers WHERE id", "members WHERE ledger_id", "changes WHERE ledger_id"):
        assert await psql.fetchval(f"SELECT count(*) FROM {table} = $1", ledger_id) == 0


async def test_sharing(app, psql):
    ann, bob = await come(app, psql), await come(app, psql)
    ledger_id = await make_ledger(psql, owner=ann)
    path = f"/ledgers/{ledger_id}/members"
    assert (await bob.get(path)).status_code == 404
    added = await ann.post(path, {"email": f" {bob.email.upper()} ", "role": "viewer"})
    assert added.status_code == 303
    assert bob.email in await text_of(await bob.get(path))
    assert (await ann.post(f"{path}/{bob.id}", {"role": "editor"})).status_code == 303
    assert await role_of(psql, ledger_id, bob) == "editor"
    assert (await ann.post(f"{path}/{bob.id}/delete")).status_code == 303
    assert (await bob.get(path)).status_code == 404


async def test_sharing_with_somebody_who_has_no_account(app, psql):
    ann, gone = await come(app, psql), await come(app, psql)
    await psql.execute("UPDATE users SET disabled_at = now() WHERE id = $1", gone.id)
    ledger_id = await make_ledger(psql, owner=ann)
    for email in ("nobody@example.org", gone.email, ""):
        form = {"email": email, "role": "viewer"}
        answer = await ann.post(f"/ledgers/{ledger_id}/members", form)
        assert answer.status_code == 422
        assert "ask an administrator to invite them" in await text_of(answer)


async def test_sharing_twice_and_with_a_role_that_is_none(app, psql):
    ann, bob = await come(app, psql), await come(app, psql)
    ledger_id = await make_ledger(psql, owner=ann, viewer=bob)
    path = f"/ledgers/{ledger_id}/members"
    answer = await ann.post(path, {"email": bob.email, "role": "owner"})
    assert answer.status_code == 422
    assert "is a member already" in await text_of(answer)
    assert await role_of(psql, ledger_id, bob) == "viewer"
    assert (await ann.post(f"{path}/{bob.id}", {"role": "god"})).status_code == 422
    assert (await ann.post(path, {"email": bob.email, "role": ""})).status_code == 422


async def test_only_owners_share(app, psql):
    ann, bob, eve = [await come(app, psql) for _ in range(3)]
    ledger_id = await make_ledger(psql, owner=ann, editor=bob, viewer=eve)
    path = f"/ledgers/{ledger_id}/members"
    for person in (bob, eve):
        assert (await person.post(path, {"email": eve.email, "role": "owner"})).status_code == 403
        assert (await person.post(f"{path}/{person.id}", {"role": "owner"})).status_code == 403
        assert (await person.post(f"{path}/{ann.id}/delete")).status_code == 403


async def test_members_that_are_none(app, psql):
    ann, eve = await come(app, psql), await come(app, psql)
    ledger_id = await make_ledger(psql, owner=ann)
    path = f"/ledgers/{ledger_id}/members/{eve.id}"
    assert (await ann.post(path, {"role": "owner"})).status_code == 404
    assert (await ann.post(f"{path}/delete")).status_code == 404


async def test_leaving(app, psql):
    ann, bob = await come(app, psql), await come(app, psql)
    ledger_id = await make_ledger(psql, owner=ann, viewer=bob)
    assert (await bob.post(f"/ledgers/{ledger_id}/leave")).status_code == 303
    assert (await bob.get(f"/ledgers/{ledger_id}")).status_code == 404


async def test_the_last_owner_stays_owner(app, psql):
    ann, bob, gone = [await come(app, psql) for _ in range(3)]
    ledger_id = await make_ledger(psql, owner=ann, editor=bob)
    await share(psql, ledger_id, gone, "owner")
    await psql.execute("UPDATE users SET disabled_at = now() WHERE id = $1", gone.id)
    path = f"/ledgers/{ledger_id}"
    for action, form in (
        (f"{path}/leave", {}),
        (f"{path}/members/{ann.id}", {"role": "editor"}),
        (f"{path}/members/{ann.id}/delete", {}),
    ):
        answer = await ann.post(action, form)
        assert answer.status_code == 409, action
        assert "only owner" in await text_of(answer)
    assert await role_of(psql, ledger_id, ann) == "owner"
    await ann.post(f"{path}/members/{bob.id}", {"role": "owner"})
    assert (await ann.post(f"{path}/leave")).status_code == 303


async def owners_of(psql, ledger_id):
    query = "SELECT count(*) FROM members WHERE ledger_id = $1 AND role = 'owner'"
    return await psql.fetchval(query, ledger_id)


@pytest.mark.parametrize("how", ["demote", "remove", "leave"])
@pytest.mark.parametrize("_time", range(5))
async def test_two_owners_at_once_cannot_leave_a_ledger_without_one(app, psql, how, _time):
    ann, bob = await come(app, psql), await come(app, psql)
    ledger_id = await make_ledger(psql, owner=ann)
    await share(psql, ledger_id, bob, "owner")
    path = f"/ledgers/{ledger_id}"

    async def act(person, other):
        if how == "leave":
            return await person.post(f"{path}/leave")
        if how == "remove":
            return await person.post(f"{path}/members/{other.id}/delete")
        return await person.post(f"{path}/members/{other.id}", {"role": "viewer"})

    answers = await asyncio.gather(act(ann, bob), act(bob, ann))
    codes = sorted(answer.status_code for answer in answers)
    assert codes[0] == 303
    assert codes[1] in {403, 404, 409}
    assert await owners_of(psql, ledger_id) == 1


async def test_an_owner_who_was_demoted_meanwhile_changes_no_role(app, psql):
    """Authorized before the other's commit, waiting for it, and refused after it."""
    ann, bob, joe = [await come(app, psql) for _ in range(3)]
    ledger_id = await make_ledger(psql, owner=ann, viewer=joe)
    await share(psql, ledger_id, bob, "owner")
    demotion = psql.transaction()
    await demotion.start()
    await psql.execute(
        "UPDATE members SET role = 'viewer' WHERE ledger_id = $1 AND user_id = $2",
        ledger_id,
        bob.id,
    )
    path = f"/ledgers/{ledger_id}/members/{joe.id}"
    waiting = asyncio.create_task(bob.post(path, {"role": "owner"}))
    while not await psql.fetchval(
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = ANY"
        " (SELECT pid FROM pg_stat_activity WHERE datname = current_database())"
    ):
        assert not waiting.done()
    await demotion.commit()
    assert (await waiting).status_code == 403
    assert await role_of(psql, ledger_id, joe) == "viewer"
