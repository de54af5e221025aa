import asyncio
from io import BytesIO

import pytest
from quart.datastructures import FileStorage

from books import make_books, signed_in

A = "0x52908400098527886E0F7030069857D2E4169EE7"
B = "0xde709f2102306220921060314715629080e2fb77"
HOSTILE = "<img src=x onerror=alert(1)>\u202eevil"


@pytest.fixture
def post(client, csrf):
    return lambda path, **form: client.post(path, form=form, headers=csrf)


@pytest.fixture
def send(client, csrf):
    async def call(method, path, body=None):
        headers = csrf | {"If-Match": "*"}
        answer = await client.open(path, method=method, json=body, headers=headers)
        return answer, await answer.get_json() if answer.status_code != 204 else None

    return call


@pytest.fixture
def text(client):
    async def read(path):
        answer = await client.get(path)
        assert answer.status_code == 200
        return await answer.get_data(as_text=True)

    return read


async def test_the_way_of_a_contact(books, post, text, psql):
    root = f"{books.path}/contacts"
    assert "No contacts yet" in await text(root)
    made = await post(root, name="Ann", network="evm", address=A)
    assert made.status_code == 303
    page = made.headers["Location"]
    assert A in await text(page)
    assert (await post(f"{page}/addresses", network="evm", address=B)).status_code == 303
    edited = await post(page, name="Anna", note="friend", version="1")
    assert edited.status_code == 303
    assert "friend" in await text(page)
    assert "Anna" in await text(root)
    found = await text(f"{root}?q=0xde70")
    assert "Anna" in found
    assert "No contact has" in await text(f"{root}?q=nobody")
    other = (await post(root, name="Bob", address="")).headers["Location"]
    merged = await post(f"{page}/merge", into=" bob ")
    assert (merged.status_code, merged.headers["Location"]) == (303, other)
    contact = await psql.fetchrow("SELECT * FROM contacts WHERE ledger_id = $1", books.ledger_id)
    assert (contact["name"], contact["note"]) == ("Bob", "friend")
    address = await psql.fetchval(
        "SELECT id FROM contact_addresses WHERE ledger_id = $1 LIMIT 1", books.ledger_id
    )
    assert (await post(f"{other}/addresses/{address}/delete")).status_code == 303
    assert (await post(f"{other}/addresses/{address}/delete")).status_code == 404
    gone = await post(f"{other}/delete", version=str(contact["version"]), transactions="0")
    assert (gone.status_code, gone.headers["Location"]) == (303, root)


async def test_what_is_wrong_stands_beside_what_was_entered(books, post, psql):
    root = f"{books.path}/contacts"
    page = (await post(root, name="Ann", network="evm", address=A)).headers["Location"]
    taken = await post(root, name="Bob", network="evm", address=A.lower())
    body = await taken.get_data(as_text=True)
    assert taken.status_code == 409
    assert "The contact “Ann” has it already" in body
    assert 'value="Bob"' in body
    assert (
        await psql.fetchval("SELECT count(*) FROM contacts WHERE ledger_id = $1", books.ledger_id)
        == 1
    )
    nobody = await post(f"{page}/merge", into="Zoe")
    assert nobody.status_code == 422
    assert "no contact named “Zoe”" in await nobody.get_data(as_text=True)
    itself = await post(f"{page}/merge", into="Ann")
    assert "Choose another contact" in await itself.get_data(as_text=True)
    stale = await post(page, name="Eve", note="", version="9")
    assert stale.status_code == 412
    assert (await post(page, name="Eve", note="", version="x")).status_code == 422


async def test_hostile_names_are_text(books, post, text):
    root = f"{books.path}/contacts"
    page = (await post(root, name=HOSTILE)).headers["Location"]
    for path in (root, page):
        body = await text(path)
        assert "<img src=x" not in body
        assert "\u202e" not in body


async def test_an_address_book_is_previewed_then_imported(client, csrf, books, post, text):
    root = f"{books.path}/contacts"
    data = f"address,name,blockchain\n{A},Ann,eth\n{B},,eth\n".encode()
    preview = await client.post(
        f"{root}/import",
        files={"file": FileStorage(BytesIO(data), filename="book.csv")},
        headers=csrf,
    )
    body = await preview.get_data(as_text=True)
    assert preview.status_code == 200
    assert "Leave out the lines with problems" in body
    assert "No contacts yet" in await text(root)
    refused = await post(f"{root}/import", content=data.decode(), do="import")
    assert refused.status_code == 422
    assert "Line 3" in await refused.get_data(as_text=True)
    done = await post(f"{root}/import", content=data.decode(), do="import", without="1")
    assert done.status_code == 303
    assert "1 address added, 0 contacts renamed" in await text(root)
    export = await client.get(f"{root}/export?format=safe")
    assert (await export.get_data()).decode("utf-8-sig").splitlines()[1] == f"{A},Ann,1"
    assert "attachment" in export.headers["Content-Disposition"]
    assert (await client.get(f"{root}/export?format=x")).status_code == 422
    for content in ("", "no,book"):
        assert (await post(f"{root}/import", content=content)).status_code == 422


async def test_what_was_refused_is_not_shown(books, post):
    refused = await post(f"{books.path}/contacts", name="Bob", network="bitcoin", address="a b")
    assert refused.status_code == 422
    page = await refused.get_data(as_text=True)
    assert 'value="Bob"' in page
    assert "No contacts yet" in page


async def test_the_api_of_contacts(books, send):
    root = f"{books.api}/contacts"
    made, ann = await send("POST", root, {"name": "Ann"})
    assert made.status_code == 201
    one = f"{root}/{ann['id']}"
    for address in (A, B):
        answer, ann = await send("POST", f"{one}/addresses", {"address": address, "network": "evm"})
        assert answer.status_code == 201
    assert [at["address"] for at in ann["addresses"]] == [A.lower(), B]
    again, problem = await send("POST", f"{one}/addresses", {"address": A, "network": "evm"})
    assert (again.status_code, problem["field"]) == (409, "address")
    _, ann = await send("PATCH", one, {"note": "friend"})
    assert (ann["note"], ann["version"]) == ("friend", 2)
    _, bob = await send("POST", root, {"name": "Bob", "note": "b"})
    _, listed = await send("GET", f"{root}?limit=25&q=an")
    assert [row["name"] for row in listed["contacts"]] == ["Ann"]
    gone, _ = await send("DELETE", f"{one}/addresses/{ann['addresses'][0]['id']}")
    assert gone.status_code == 204
    _, kept = await send("POST", f"{one}/merge", {"into": bob["id"]})
    assert [at["address"] for at in kept["addresses"]] == [B]
    answer, _ = await send("DELETE", f"{root}/{bob['id']}")
    assert answer.status_code == 204
    answer, problem = await send("GET", f"{root}?cursor=x")
    assert (answer.status_code, problem["field"]) == (422, "cursor")


async def test_address_books_in_the_api(client, csrf, books):
    root = f"{books.api}/contacts"
    csv = f"address,name,chainId\n{A},Ann,1\n"
    for query, added in (("?dry_run=1", 1), ("", 1), ("", 0)):
        answer = await client.post(f"{root}/import{query}", data=csv, headers=csrf)
        assert len((await answer.get_json())["added"]) == added
    answer = await client.get(f"{root}/export")
    assert (await answer.get_data(as_text=True)).splitlines()[0] == "address,name,blockchain"


async def test_a_viewer_changes_nothing(app, psql):
    books = await make_books(psql, role="viewer")
    client, headers = signed_in(app, books), {"X-CSRF-Token": books.csrf_token}
    page = await client.get(f"{books.path}/contacts")
    assert "Make contact" not in await page.get_data(as_text=True)
    for path in ("", "/1", "/1/delete", "/1/merge", "/1/addresses", "/import"):
        answer = await client.post(f"{books.path}/contacts{path}", form={}, headers=headers)
        assert answer.status_code == 403, path


async def test_another_ledgers_contact_is_not_found(psql, books, send, post):
    other = await make_books(psql)
    foreign = await psql.fetchval(
        "INSERT INTO contacts (ledger_id, name) VALUES ($1, 'theirs') RETURNING id",
        other.ledger_id,
    )
    page, one = f"{books.path}/contacts/{foreign}", f"{books.api}/contacts/{foreign}"
    assert (await post(page, name="x", note="", version="1")).status_code == 404
    assert (await post(f"{page}/addresses", network="evm", address=A)).status_code == 404
    assert (await post(f"{page}/delete", transactions="0", version="1")).status_code == 404
    for method, path, body in (
        ("GET", "", None),
        ("PATCH", "", {"name": "x"}),
        ("DELETE", "", None),
        ("POST", "/addresses", {"address": A, "network": "evm"}),
    ):
        answer, _ = await send(method, f"{one}{path}", body)
        assert answer.status_code == 404
    _, own = await send("POST", f"{books.api}/contacts", {"name": "mine"})
    answer, _ = await send("POST", f"{books.api}/contacts/{own['id']}/merge", {"into": foreign})
    assert answer.status_code == 404
    assert await psql.fetchval("SELECT name FROM contacts WHERE id = $1", foreign) == "theirs"


async def test_two_tabs_import_the_same_book_at_once(books, post, psql):
    content = "address,name,chainId\n" + "".join(f"0x{n:040x},C{n % 9},1\n" for n in range(1, 60))
    path = f"{books.path}/contacts/import"
    answers = await asyncio.gather(*(post(path, content=content, do="import") for _ in range(3)))
    assert {answer.status_code for answer in answers} <= {303, 409}
    assert 303 in {answer.status_code for answer in answers}
    assert (
        await psql.fetchval(
            "SELECT count(*) FROM contact_addresses WHERE ledger_id = $1", books.ledger_id
        )
        == 59
    )


async def test_notes_that_are_too_long_together_are_not_cut(books, send, post, psql):
    root = f"{books.api}/contacts"
    _, ann = await send("POST", root, {"name": "Ann", "note": "a" * 1500})
    _, bob = await send("POST", root, {"name": "Bob", "note": "b" * 499})
    _, eve = await send("POST", root, {"name": "Eve", "note": "e" * 500})
    answer, problem = await send("POST", f"{root}/{eve['id']}/merge", {"into": ann["id"]})
    assert (answer.status_code, problem["field"]) == (422, "into")
    refused = await post(f"{books.path}/contacts/{eve['id']}/merge", into="Ann")
    assert refused.status_code == 422
    assert "shorten one of them" in await refused.get_data(as_text=True)
    assert await psql.fetchval("SELECT note FROM contacts WHERE id = $1", eve["id"]) == "e" * 500
    _, kept = await send("POST", f"{root}/{bob['id']}/merge", {"into": ann["id"]})
    assert kept["note"] == "a" * 1500 + "\n" + "b" * 499
