"""What a lost edit looks like: headers and problems for programs, a page with both texts for people."""

import html
import re

import pytest

from movements import make_rows

BOB = "Bob “the ledger” O'Neil"


@pytest.fixture
async def rows(psql, books):
    return await make_rows(psql, books)


class Site:
    """The test's ledger, its owner's browser, and others who change it."""

    def __init__(self, client, csrf, books, psql) -> None:
        self.client, self.csrf, self.books, self.psql = client, csrf, books, psql

    async def post(self, path, status=303, /, *, headers=None, **form):
        answer = await self.client.post(path, form=form, headers=self.csrf | (headers or {}))
        text = await answer.get_data(as_text=True)
        assert answer.status_code == status, text[:3000]
        return answer.location if status == 303 else text

    async def read(self, path):
        return await (await self.client.get(path)).get_data(as_text=True)

    async def stored(self, table, row_id):
        return await self.psql.fetchrow(f"SELECT * FROM {table} WHERE id = $1", row_id)

    async def make(self, table, name="Some"):
        return await self.psql.fetchval(
            f"INSERT INTO {table} (ledger_id, name) VALUES ($1, $2) RETURNING id",
            self.books.ledger_id,
            name,
        )

    async def as_bob(self, statement, *values):
        """Change rows as another person does."""
        bob = await self.psql.fetchval(
            "INSERT INTO users (email, name) VALUES (gen_random_uuid() || '@example.org', $1)"
            " RETURNING id",
            BOB,
        )
        async with self.psql.transaction():
            await self.psql.execute(
                "SELECT set_config('freshledger.actor', $1, true)", f"user:{bob}"
            )
            await self.psql.execute(statement, *values)


@pytest.fixture
def site(client, csrf, books, psql):
    return Site(client, csrf, books, psql)


def fields(text: str, form: str = "conflict-form") -> dict[str, str]:
    """What a browser sends of a form where nothing was chosen: no radio, and all else as it is."""
    body = re.search(rf'<form[^>]*id="{form}".*?</form>', text, re.DOTALL)[0]
    sent = {}
    for tag in re.findall(r"<input[^>]*>", body):
        if 'type="radio"' not in tag and (name := re.search(r' name="([^"]*)"', tag)):
            sent[name[1]] = html.unescape(re.search(r' value="([^"]*)"', tag)[1])
    for name, value in re.findall(
        r'<textarea[^>]* name="(\w+)"[^>]*>\n(.*?)</textarea>', body, re.DOTALL
    ):
        sent[name] = html.unescape(value)
    for name, options in re.findall(
        r'<select[^>]* name="(\w+)"[^>]*>(.*?)</select>', body, re.DOTALL
    ):
        sent[name] = re.search(r'value="([^"]*)" selected', options)[1]
    return sent


# Programs


@pytest.mark.parametrize(
    ("given", "answered"),
    [
        (None, (428, "precondition_required")),
        (" ", (428, "precondition_required")),
        ('"1"', (200, None)),
        ("*", (200, None)),
        ('"9"', (412, "precondition_failed")),
        ("1", (422, "invalid")),
        ('W/"1"', (422, "invalid")),
        ('"1", "2"', (422, "invalid")),
        ('"' + "9" * 30 + '"', (422, "invalid")),
    ],
)
@pytest.mark.parametrize("table", ["transactions", "wallets", "contacts", "labels"])
async def test_if_match(site, rows, table, given, answered):
    row_id = rows.ids[0] if table == "transactions" else await site.make(table)
    path = f"{site.books.api}/{table}/{row_id}"
    headers = site.csrf | ({"If-Match": given} if given else {})
    body = {"type": "fee"} if table == "transactions" else {"name": "Other"}
    answer = await site.client.patch(path, json=body, headers=headers)
    said = await answer.get_json()
    status = answer.status_code
    assert (status, said.get("code")) == answered
    assert (await site.stored(table, row_id))["version"] == (2 if status == 200 else 1)
    if status in {422, 428}:
        assert said["field"] == "If-Match"
        assert 'such as If-Match: "3"' in said["detail"] or "in quotes" in said["detail"]
        gone = await site.client.delete(path, headers=headers)
        assert gone.status_code == status
        assert await site.stored(table, row_id)


async def test_set_operations_need_no_version(site, rows):
    label = await site.make("labels")
    path = f"{site.books.api}/transactions/{rows.ids[0]}/labels/{label}"
    for method in ("PUT", "PUT", "DELETE", "DELETE"):
        assert (await site.client.open(path, method=method, headers=site.csrf)).status_code == 200
    contact = await site.make("contacts")
    path = f"{site.books.api}/contacts/{contact}/addresses"
    body = {"address": "bc1qtheirs", "network": "bitcoin"}
    made = await site.client.post(path, json=body, headers=site.csrf)
    assert made.status_code == 201
    address = made.headers["Location"]
    assert (await site.client.delete(address, headers=site.csrf)).status_code == 204


async def test_the_description_says_it(site):
    paths = (await (await site.client.get("/openapi.json")).get_json())["paths"]
    edits = {
        (path, method): [
            one for one in operation.get("parameters", ()) if one["name"] == "If-Match"
        ]
        for path, operations in paths.items()
        for method, operation in operations.items()
    }
    needed = {path for (path, _), found in edits.items() if found}
    assert {path.rpartition("/")[2] for path in needed} == {
        "{transaction_id}", "{wallet_id}", "{contact_id}", "{label_id}",
    }  # fmt: skip
    for path in needed:
        for method in ("patch", "delete"):
            assert edits[path, method][0]["required"] is True
    assert all(found for (_, method), found in edits.items() if method == "patch")


async def test_a_filters_bulk_edit_needs_count_and_digest(site, rows):
    url = f"{site.books.api}/transactions"
    for body in ({}, {"count": 2}, {"digest": "x"}):
        sent = {"filter": "type=receive", "note": "n"} | body
        answer = await site.client.post(f"{url}/bulk/note", json=sent, headers=site.csrf)
        assert (answer.status_code, (await answer.get_json())["field"]) == (422, "digest")
    seen = await (await site.client.get(f"{url}/preview?type=receive")).get_json()
    await site.psql.execute("UPDATE transactions SET type = 'receive' WHERE id = $1", rows.ids[1])
    sent = {"filter": "type=receive", "note": "n"} | seen
    answer = await site.client.post(f"{url}/bulk/note", json=sent, headers=site.csrf)
    problem = await answer.get_json()
    assert answer.status_code == 412
    assert "3" in problem["detail"]
    notes = await site.psql.fetch(
        "SELECT note FROM transactions WHERE ledger_id = $1", site.books.ledger_id
    )
    assert {row["note"] for row in notes} == {""}


# People


async def test_no_form_without_version_edits_a_value(site, rows):
    paths = [
        f"{site.books.path}/{table}/{await site.make(table)}"
        for table in ("wallets", "contacts", "labels")
    ]
    one = f"{site.books.path}/transactions/{rows.ids[0]}"
    edits = [one, f"{one}/note", f"{one}/contact", *paths, site.books.path]
    deletions = [f"{path}/delete" for path in (one, *paths)]
    for path in (*edits, *deletions):
        for version in ({}, {"version": "", "was": " "}):
            text = await site.post(
                path, 428, name="x", note="x", type="fee", contact="x", transactions="0", **version
            )
            assert "the form does not say what it was made from" in text
    assert (await site.stored("transactions", rows.ids[0]))["version"] == 1


async def test_both_texts_who_and_when(site, rows):
    await site.psql.execute(
        "UPDATE users SET time_zone = 'Asia/Tokyo' WHERE id = $1", site.books.user_id
    )
    one = f"{site.books.path}/transactions/{rows.ids[0]}"
    form = fields(await site.read(one), "edit-form")
    await site.as_bob(
        "UPDATE transactions SET note = $2, counterparty = NULL WHERE id = $1",
        rows.ids[0],
        "Bob's <b>note</b>",
    )
    when = await site.psql.fetchval(
        "SELECT to_char(max(at) AT TIME ZONE 'Asia/Tokyo', 'YYYY-MM-DD HH24:MI') FROM revisions"
        " WHERE ledger_id = $1",
        site.books.ledger_id,
    )
    text = await site.post(one, 412, **form | {"note": "mine\r\n& more", "type": "fee"})
    assert html.escape(BOB, quote=False).replace("'", "&#39;") in text
    assert f"{when}:" in text
    assert "Asia/Tokyo" in text
    assert "Bob&#39;s &lt;b&gt;note&lt;/b&gt;" in text
    again = fields(text)
    assert again["note"] == "mine\n& more"
    assert (again["version"], again["type"]) == ("2", "fee")
    assert "counterparty" not in again, "theirs, which nobody else touched, would be undone"
    assert (await site.stored("transactions", rows.ids[0]))["note"] == "Bob's <b>note</b>"


async def test_mine_is_saved_and_what_else_was_edited(site, rows):
    one = f"{site.books.path}/transactions/{rows.ids[0]}"
    form = fields(await site.read(one), "edit-form") | {"note": "mine", "type": "fee"}
    await site.as_bob("UPDATE transactions SET note = 'theirs' WHERE id = $1", rows.ids[0])
    choice = fields(await site.post(one, 412, **form))
    await site.post(one, **choice | {"keep_note": "mine", "note": "mine, edited"})
    row = await site.stored("transactions", rows.ids[0])
    assert (row["note"], row["type"]) == ("mine, edited", "fee")
    assert sorted(row["hand_edited"]) == ["note", "type"]


async def test_theirs_is_kept_and_what_else_was_edited_saved(site, rows):
    one = f"{site.books.path}/transactions/{rows.ids[0]}"
    form = fields(await site.read(one), "edit-form") | {"note": "mine", "type": "fee"}
    await site.as_bob("UPDATE transactions SET note = 'theirs' WHERE id = $1", rows.ids[0])
    choice = fields(await site.post(one, 412, **form))
    await site.post(one, **choice | {"keep_note": "theirs"})
    row = await site.stored("transactions", rows.ids[0])
    assert (row["note"], row["type"]) == ("theirs", "fee")


async def test_a_third_change_is_found_too(site, rows):
    one = f"{site.books.path}/transactions/{rows.ids[0]}"
    form = fields(await site.read(one), "edit-form") | {"note": "mine"}
    await site.as_bob("UPDATE transactions SET note = 'theirs' WHERE id = $1", rows.ids[0])
    choice = fields(await site.post(one, 412, **form))
    await site.as_bob("UPDATE transactions SET note = 'a third' WHERE id = $1", rows.ids[0])
    text = await site.post(one, 412, **choice | {"keep_note": "mine"})
    assert "a third" in text
    assert fields(text)["note"] == "mine"
    assert (await site.stored("transactions", rows.ids[0]))["note"] == "a third"


async def test_untouched_fields_of_a_form_undo_nothing(site, rows):
    """A form sends every field: what its maker left alone is no edit."""
    one = f"{site.books.path}/transactions/{rows.ids[0]}"
    form = fields(await site.read(one), "edit-form") | {"note": "mine"}
    await site.as_bob(
        "UPDATE transactions SET type = 'income', amount = 7.5, counterparty = NULL,"
        " occurred_at = '2024-07-01T00:00:00.123456Z' WHERE id = $1",
        rows.ids[0],
    )
    await site.post(one, **form)
    row = await site.stored("transactions", rows.ids[0])
    assert (row["note"], row["type"], str(row["amount"])) == ("mine", "income", "7.5")
    assert (row["counterparty"], row["occurred_at"].microsecond) == (None, 123456)
    assert row["hand_edited"] == ["note"]


async def test_a_contact_that_was_renamed_is_not_made_again(site, rows):
    ann = await site.make("contacts", "Ann")
    await site.psql.execute(
        "UPDATE transactions SET contact_id = $2 WHERE id = $1", rows.ids[0], ann
    )
    one = f"{site.books.path}/transactions/{rows.ids[0]}"
    form = fields(await site.read(one), "edit-form") | {"note": "mine"}
    assert form["contact"] == "Ann"
    await site.psql.execute("UPDATE contacts SET name = 'Anna' WHERE id = $1", ann)
    await site.post(one, **form)
    row = await site.stored("transactions", rows.ids[0])
    assert (row["contact_id"], row["note"]) == (ann, "mine")
    assert await site.psql.fetchval("SELECT count(*) FROM contacts WHERE id > $1", ann) == 0


async def test_contacts_in_conflict_have_names(site, rows):
    one = f"{site.books.path}/transactions/{rows.ids[0]}"
    carol = await site.make("contacts", "Carol")
    form = fields(await site.read(one), "edit-form") | {"contact": "Dave"}
    await site.as_bob("UPDATE transactions SET contact_id = $2 WHERE id = $1", rows.ids[0], carol)
    text = await site.post(one, 412, **form)
    assert "Carol" in text
    choice = fields(text)
    assert choice["contact"] == "Dave"
    await site.post(one, **choice | {"keep_contact": "mine"})
    assert (
        await site.stored(
            "contacts", (await site.stored("transactions", rows.ids[0]))["contact_id"]
        )
    )["name"] == "Dave"


async def test_in_the_list_only_the_part_is_swapped(site, rows):
    note = f"{site.books.path}/transactions/{rows.ids[0]}/note"
    await site.as_bob("UPDATE transactions SET note = 'theirs' WHERE id = $1", rows.ids[0])
    form = {"note": "mine", "version": "1", "back": "type=send&limit=25"}
    text = await site.post(note, 412, headers={"HX-Request": "true"}, **form)
    assert "<html" not in text
    assert "theirs" in text
    assert fields(text)["back"] == "type=send&limit=25"
    assert "?type=send&amp;limit=25" in text
    whole = await site.post(note, 412, **form)
    assert "<html" in whole
    choice = fields(whole) | {"keep_note": "mine"}
    assert await site.post(note, **choice) == f"{site.books.path}/transactions?type=send&limit=25"


async def test_a_change_nobody_recorded_is_shown_as_such(site, rows):
    async with site.psql.transaction():
        await site.psql.execute("SELECT set_config('freshledger.import', '1', true)")
        await site.psql.execute("UPDATE transactions SET note = 'x' WHERE id = $1", rows.ids[0])
    path = f"{site.books.path}/transactions/{rows.ids[0]}/note"
    text = await site.post(path, 412, note="mine", version="1", back="")
    assert "changed by an import or another program" in text
    assert "When you began" not in text


@pytest.mark.parametrize(
    ("table", "one", "mine", "theirs"),
    [
        ("wallets", "note", "my note", "their note"),
        ("contacts", "note", "my note", "their note"),
        ("labels", "color", "red", "teal"),
    ],
)
async def test_named_rows(site, table, one, mine, theirs):
    row_id = await site.make(table)
    page = f"{site.books.path}/{table}/{row_id}"
    form = {"name": "Some", "note": "", "version": "1"} | {one: mine}
    await site.as_bob(f"UPDATE {table} SET {one} = $2 WHERE id = $1", row_id, theirs)
    choice = fields(await site.post(page, 412, **form | {"name": "Mine too"}))
    assert choice[one] == mine
    assert choice["name"] == "Mine too"
    await site.as_bob(f"UPDATE {table} SET name = 'Third' WHERE id = $1", row_id)
    text = await site.post(page, 412, **choice | {f"keep_{one}": "theirs"})
    assert "Third" in text
    await site.post(page, **fields(text) | {"keep_name": "mine"})
    row = await site.stored(table, row_id)
    assert (row["name"], row[one]) == ("Mine too", theirs)
    await site.post(page, name="x", keep_name="theirs", version="1")
    assert (await site.stored(table, row_id))["version"] == row["version"]


@pytest.mark.parametrize("table", ["transactions", "wallets", "contacts", "labels"])
async def test_a_deletion_says_what_has_changed(site, rows, table):
    row_id = rows.ids[0] if table == "transactions" else await site.make(table)
    column, old = ("note", "") if table == "transactions" else ("name", "Some")
    await site.as_bob(f"UPDATE {table} SET {column} = 'Changed' WHERE id = $1", row_id)
    path = f"{site.books.path}/{table}/{row_id}/delete"
    text = html.unescape(await site.post(path, 412, version="1", transactions="0"))
    was = f"“{old}”" if old else "nothing"
    assert f"Nothing was deleted: {BOB} changed its {column} from {was} to “Changed” on 2" in text
    assert "(UTC)" in text
    assert await site.stored(table, row_id)
    await site.post(path, version="2", transactions="0")
    assert await site.stored(table, row_id) is None


async def test_a_ledgers_name(site):
    form = {"name": "Mine", "was": "Books"}
    assert 'name="was" value="Books"' in await site.read(site.books.path)
    await site.as_bob("UPDATE ledgers SET name = 'Theirs' WHERE id = $1", site.books.ledger_id)
    text = await site.post(site.books.path, 412, **form)
    assert "Theirs" in text
    assert "O&#39;Neil" in text
    choice = fields(text)
    assert choice == choice | {"name": "Mine", "was": "Theirs"}
    await site.post(site.books.path, **choice | {"keep_name": "theirs"})
    assert (await site.stored("ledgers", site.books.ledger_id))["name"] == "Theirs"
    del choice["idempotency_key"]  # each form is sent once
    await site.post(site.books.path, **choice | {"keep_name": "mine"})
    assert (await site.stored("ledgers", site.books.ledger_id))["name"] == "Mine"
    await site.post(site.books.path, name="Mine", was="Theirs")  # what somebody did is done
    await site.post(site.books.path, name="Theirs", was="Theirs")  # untouched
    assert (await site.stored("ledgers", site.books.ledger_id))["name"] == "Mine"


async def test_what_was_typed_for_a_row_that_is_gone_is_shown(site, rows):
    one = f"{site.books.path}/transactions/{rows.ids[0]}"
    await site.psql.execute("DELETE FROM transactions WHERE id = $1", rows.ids[0])
    page = await site.post(f"{one}/note", 404, note="an <hour> of work", version="1")
    assert "an &lt;hour&gt; of work" in page


async def test_nothing_to_change_is_no_conflict(site):
    """A form from before a restore, which asks for what is there."""
    label = await site.make("labels")
    form = {"name": "Some", "color": "", "version": "9"}
    await site.post(f"{site.books.path}/labels/{label}", **form)
