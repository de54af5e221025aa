"""An undo that would overwrite a later edit says so, says which, and does nothing."""

import asyncio

import asyncpg
import pytest

from books import Books, make_books, signed_in
from freshledger.history import commands
from history.conftest import Desk
from locked import until_waiting
from movements import make_rows
from people import come, share


@pytest.fixture
async def rows(desk: Desk):
    return await make_rows(desk.psql, desk.books, 4)


async def refused(desk: Desk, version: int, **body) -> dict:
    """Undo by the API what cannot be: it changes nothing. Returns the problem."""
    before, at = await desk.content(), await desk.version()
    answer = await desk.api("POST", f"/history/{version}/undo", body)
    assert answer.status_code == 409, await answer.get_data(as_text=True)
    assert (await desk.content(), await desk.version()) == (before, at)
    return await answer.get_json()


async def label_of(desk: Desk, name: str) -> int:
    query = "SELECT id FROM labels WHERE ledger_id = $1 AND name = $2"
    return await desk.psql.fetchval(query, desk.books.ledger_id, name)


async def test_a_later_edit_of_the_same_field(desk: Desk, rows, app):
    bob = await come(app, desk.psql)
    await share(desk.psql, desk.books.ledger_id, bob, "editor")
    one = f"/transactions/{rows.ids[0]}"
    mine = await desk.do(f"{one}/note", note="mine")
    other = await desk.do(f"{one}", type="income", note="mine", amount="1", contact="",
                          occurred_at="2024-03-01T12:00:00", counterparty="")  # fmt: skip
    his = await bob.post(f"{desk.books.path}{one}/note", {"note": "his", "version": "3"})
    assert his.status_code == 303
    problem = await refused(desk, mine)
    assert problem["code"] == "undo_conflict"
    assert problem["total"] == 1
    (obstacle,) = problem["obstacles"]
    assert obstacle["why"] == "changed"
    assert "note" in obstacle["text"]
    assert obstacle["version"] == other + 1
    assert obstacle["actor"] == f"user:{bob.id}"
    page = await desk.post(f"/history/{mine}/undo")
    text = await page.get_data(as_text=True)
    assert page.status_code == 409
    assert f"/history/{other + 1}" in text
    assert "Undo only what nobody changed" not in text
    await desk.do(f"/history/{other}/undo")
    hand = await desk.psql.fetchval(
        "SELECT hand_edited FROM transactions WHERE id = $1", rows.ids[0]
    )
    assert hand == ["note"]


async def test_rows_that_went_or_came_back_or_are_needed(desk: Desk, rows):
    one = f"/transactions/{rows.ids[0]}"
    on = await desk.do(f"{one}/labels", label="rent")
    rent = await label_of(desk, "rent")
    off = await desk.do(f"{one}/labels/{rent}/delete")
    problem = await refused(desk, on)
    assert [(o["why"], o["version"]) for o in problem["obstacles"]] == [("gone", off)]
    again = await desk.do(f"{one}/labels", label="rent")
    problem = await refused(desk, off)
    assert [(o["why"], o["version"]) for o in problem["obstacles"]] == [("there", again)]
    made = await desk.do("/labels", name="new", color="red")
    used = await desk.do(f"/transactions/{rows.ids[1]}/labels", label="new")
    problem = await refused(desk, made)
    assert [(o["why"], o["version"]) for o in problem["obstacles"]] == [("used", used)]
    new = await label_of(desk, "new")
    off = await desk.do(f"/transactions/{rows.ids[1]}/labels/{new}/delete")
    gone = await desk.do(f"/labels/{new}/delete", transactions=0)
    problem = await refused(desk, off)
    assert [(o["why"], o["version"]) for o in problem["obstacles"]] == [("needs", gone)]
    taken = await desk.do("/labels", name="NEW", color="red")
    problem = await refused(desk, gone)
    assert [(o["why"], o["version"]) for o in problem["obstacles"]] == [("taken", taken)]


async def test_only_what_nobody_changed_since(desk: Desk, rows):
    await desk.do(f"/transactions/{rows.ids[3]}/labels", label="rent")
    body = {"ids": rows.ids, "note": "all"}
    answer = await desk.api("POST", "/transactions/bulk/note", body)
    assert answer.status_code == 200
    version = await desk.version()
    await desk.do(f"/transactions/{rows.ids[1]}/note", note="mine")
    await desk.do(f"/transactions/{rows.ids[2]}/delete")
    problem = await refused(desk, version)
    assert problem["total"] == 2
    assert problem["in_part"] is True
    done = await desk.api("POST", f"/history/{version}/undo", {"in_part": True})
    assert (await done.get_json())["left_out"] == 2
    notes = await desk.psql.fetch(
        "SELECT note FROM transactions WHERE ledger_id = $1 ORDER BY id", desk.books.ledger_id
    )
    assert [row[0] for row in notes] == ["", "mine", ""]
    assert "Undid version" in (await desk.says())[0]
    assert "but for 2 rows" in (await desk.says())[0]
    problem = await refused(desk, version, in_part=True)
    assert problem["in_part"] is False


async def test_what_follows_by_itself_is_nothing_left_to_undo(desk: Desk, rows):
    """A labelled transaction's type: its links follow, and are no part that could be undone."""
    one = f"/transactions/{rows.ids[0]}"
    await desk.do(f"{one}/labels", label="rent")
    versions = []
    for kind in ("income", "reward"):
        answer = await desk.api("PATCH", one, {"type": kind}, **{"If-Match": "*"})
        assert answer.status_code == 200
        versions.append(await desk.version())
    assert (await refused(desk, versions[0]))["in_part"] is False


async def test_a_version_that_changed_nothing(desk: Desk, rows):
    await desk.psql.execute("UPDATE wallets SET name = name WHERE id = $1", rows.wallet)
    version = await desk.version()
    problem = await refused(desk, version)
    assert "changed nothing" in problem["detail"]
    assert await desk.psql.fetchval("SELECT count(*) FROM undos WHERE version = $1", version) == 0


async def test_times_that_no_calendar_has(desk: Desk, rows):
    await desk.psql.execute(
        "UPDATE transactions SET occurred_at = 'infinity' WHERE id = $1", rows.ids[0]
    )
    assert "infinity" in await desk.get("/history")


async def test_many_obstacles_are_counted(desk: Desk):
    await make_rows(desk.psql, desk.books, 0)
    await desk.psql.execute(
        "INSERT INTO labels (ledger_id, name) SELECT $1, 'label ' || n FROM generate_series(1, 60) n",
        desk.books.ledger_id,
    )
    version = await desk.version()
    await desk.psql.execute("DELETE FROM labels WHERE ledger_id = $1", desk.books.ledger_id)
    problem = await refused(desk, version)
    assert problem["total"] == 60
    assert len(problem["obstacles"]) == 20


async def test_what_cannot_be_undone(desk: Desk, app, psql):
    carol = await come(app, psql)
    await share(psql, desk.books.ledger_id, carol, "viewer")
    for version in (1, 2, await desk.version()):
        page = await desk.get(f"/history/{version}/undo")
        assert "cannot be undone" in page
        problem = await refused(desk, version)
        assert "their pages" in problem["detail"]
    await psql.execute(
        "INSERT INTO labels (ledger_id, name) SELECT $1, 'l' || n FROM generate_series(1, 10001) n",
        desk.books.ledger_id,
    )
    problem = await refused(desk, await desk.version())
    assert "10,001 rows were changed in one statement" in problem["detail"]
    page = await desk.get("/history")
    assert "rows were not kept" in page


async def test_who_may_undo(desk: Desk, app, psql, rows):
    version = await desk.do(f"/transactions/{rows.ids[0]}/note", note="mine")
    carol, eve = await come(app, psql), await come(app, psql)
    await share(psql, desk.books.ledger_id, carol, "viewer")
    path = f"{desk.books.path}/history/{version}"
    assert (await carol.get(path)).status_code == 200
    assert "Undo" not in await (await carol.get(path)).get_data(as_text=True)
    assert (await carol.get(f"{path}/undo")).status_code == 403
    assert (await carol.post(f"{path}/undo")).status_code == 403
    assert (await eve.post(f"{path}/undo")).status_code == 404
    assert (await desk.post("/history/99999/undo")).status_code == 404
    other = await make_books(psql)
    await psql.execute("UPDATE ledgers SET name = name WHERE id = $1", other.ledger_id)
    await psql.execute("UPDATE ledgers SET archived_at = now() WHERE id = $1", desk.books.ledger_id)
    assert (await desk.post(f"/history/{version}/undo")).status_code == 403


async def meanwhile(
    desk: Desk, app, books: Books, database_url: str, row: int, version: int
) -> int:
    """Edit a row while an undo of it begins; returns the undo's status."""
    other = await asyncpg.connect(database_url)
    editing = other.transaction()
    await editing.start()
    await other.execute("UPDATE transactions SET note = 'theirs' WHERE id = $1", row)
    client = signed_in(app, books)
    headers = {"X-CSRF-Token": books.csrf_token}
    undo = asyncio.create_task(client.post(f"{books.path}/history/{version}/undo", headers=headers))
    await until_waiting(other, desk.psql)
    await editing.commit()
    await other.close()
    return (await undo).status_code


async def test_an_edit_that_comes_between_is_not_lost(desk: Desk, app, books, database_url, rows):
    version = await desk.do(f"/transactions/{rows.ids[0]}/note", note="mine")
    assert await meanwhile(desk, app, books, database_url, rows.ids[0], version) == 409
    query = "SELECT note FROM transactions WHERE id = $1"
    assert await desk.psql.fetchval(query, rows.ids[0]) == "theirs"


async def test_without_locks_it_would_be_lost(
    desk: Desk, app, books, database_url, rows, monkeypatch
):
    """The planted fault that the test before is there for."""

    async def nothing(*_):
        pass

    monkeypatch.setattr(commands._Work, "lock", nothing)
    version = await desk.do(f"/transactions/{rows.ids[0]}/note", note="mine")
    assert await meanwhile(desk, app, books, database_url, rows.ids[0], version) == 303
    query = "SELECT note FROM transactions WHERE id = $1"
    assert await desk.psql.fetchval(query, rows.ids[0]) == ""
