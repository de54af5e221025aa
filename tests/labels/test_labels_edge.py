import asyncio

import pytest

from books import make_books, signed_in

HOSTILE = "<script>alert(1)</script>\u202e\"'&"

NOWHERE = 10**15
"""No label has this id."""


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


async def test_the_way_of_a_label(client, books, post, psql):
    root = f"{books.path}/labels"
    page = await (await client.get(root)).get_data(as_text=True)
    assert "No labels yet" in page
    made = await post(root, name=" Rent ", color="red")
    assert (made.status_code, made.headers["Location"]) == (303, root)
    page = await (await client.get(root)).get_data(as_text=True)
    assert "Label “Rent” made." in page
    assert "label--red" in page
    label = await psql.fetchval("SELECT id FROM labels WHERE ledger_id = $1", books.ledger_id)
    assert (await client.get(f"{root}/{label}")).status_code == 200
    edited = await post(f"{root}/{label}", name="Home", color="teal", version="1")
    assert edited.status_code == 303
    stale = await post(f"{root}/{label}", name="Mine", color="teal", version="1")
    assert stale.status_code == 412
    text = await stale.get_data(as_text=True)
    assert "Ann Example" in text
    assert "Home" in text
    assert 'value="Mine"' in text
    assert 'name="version" value="2"' in text


async def test_a_label_goes_into_another(books, post, psql):
    root = f"{books.path}/labels"
    await post(root, name="Home", color="teal")
    label = await psql.fetchval("SELECT id FROM labels WHERE ledger_id = $1", books.ledger_id)
    other = await post(root, name="Other", color="")
    assert other.status_code == 303
    kept = await psql.fetchval(
        "SELECT id FROM labels WHERE ledger_id = $1 AND name = 'Other'", books.ledger_id
    )
    merged = await post(f"{root}/{label}/merge", into=str(kept))
    assert merged.status_code == 303
    gone = await post(f"{root}/{kept}/delete", version="1", transactions="0")
    assert gone.status_code == 303
    assert (
        await psql.fetchval("SELECT count(*) FROM labels WHERE ledger_id = $1", books.ledger_id)
        == 0
    )


async def test_what_is_wrong_stands_beside_what_was_entered(books, post):
    root = f"{books.path}/labels"
    await post(root, name="Rent", color="red")
    taken = await post(root, name="RENT", color="lime")
    text = await taken.get_data(as_text=True)
    assert taken.status_code == 409
    assert 'value="RENT"' in text
    assert "already a label named “Rent”" in text
    assert (await post(root, name=" ", color="red")).status_code == 422
    assert (await post(root, name="x", color="mauve")).status_code == 422
    assert (await post(f"{root}/{NOWHERE}/merge", into="no")).status_code == 404


async def test_hostile_names_are_text(client, books, post):
    root = f"{books.path}/labels"
    await post(root, name=HOSTILE, color="red")
    text = await (await client.get(root)).get_data(as_text=True)
    assert "<script>alert" not in text
    assert "\u202e" not in text


async def test_the_api_of_labels(books, send, psql):
    root = f"{books.api}/labels"
    made, label = await send("POST", root, {"name": "Rent"})
    assert made.status_code == 201
    assert made.headers["Location"] == f"{root}/{label['id']}"
    assert {**label, "color": "", "id": 0} == {
        "id": 0, "name": "Rent", "color": "", "version": 1, "transactions": 0,
        "last_used_at": None,
    }  # fmt: skip
    _, changed = await send("PATCH", f"{root}/{label['id']}", {"color": "pink"})
    assert (changed["color"], changed["version"]) == ("pink", 2)
    _, other = await send("POST", root, {"name": "Home", "color": "blue"})
    _, all_of_them = await send("GET", root)
    assert [one["name"] for one in all_of_them["labels"]] == ["Home", "Rent"]
    assert all_of_them["version"] == await psql.fetchval(
        "SELECT version FROM heads WHERE ledger_id = $1", books.ledger_id
    )
    _, kept = await send("POST", f"{root}/{label['id']}/merge", {"into": other["id"]})
    assert kept["id"] == other["id"]
    gone, _ = await send("DELETE", f"{root}/{other['id']}")
    assert gone.status_code == 204


@pytest.mark.parametrize(
    ("call", "status", "field"),
    [
        (("POST", "", {"name": ""}), 422, "name"),
        (("POST", "", {"name": 5}), 422, "name"),
        (("POST", "", {"name": "x", "color": "mauve"}), 422, "color"),
        (("POST", "", {"nam": "x"}), 422, "nam"),
        (("PATCH", f"/{NOWHERE}", {}), 422, "name"),
        (("PATCH", f"/{NOWHERE}", {"name": "x"}), 404, None),
        (("GET", f"/{NOWHERE}", None), 404, None),
        (("DELETE", f"/{NOWHERE}", None), 404, None),
        (("POST", f"/{NOWHERE}/merge", {"into": 2}), 404, None),
        (("POST", f"/{NOWHERE}/merge", {"into": 2**63}), 422, "into"),
        (("GET", f"/{2**63}", None), 404, None),
    ],
)
async def test_refusals_of_the_api(books, send, call, status, field):
    method, path, body = call
    answer, problem = await send(method, f"{books.api}/labels{path}", body)
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert problem.get("field") == field


async def test_a_viewer_changes_nothing(app, psql):
    books = await make_books(psql, role="viewer")
    client, headers = signed_in(app, books), {"X-CSRF-Token": books.csrf_token}
    page = await client.get(f"{books.path}/labels")
    assert page.status_code == 200
    assert "Make label" not in await page.get_data(as_text=True)
    for path in (f"{books.path}/labels", f"{books.path}/labels/1", f"{books.path}/labels/1/delete"):
        assert (await client.post(path, form={"name": "x"}, headers=headers)).status_code == 403
    answer = await client.post(f"{books.api}/labels", json={"name": "x"}, headers=headers)
    assert answer.status_code == 403


async def test_another_ledgers_label_is_not_found(psql, books, send, post):
    other = await make_books(psql)
    foreign = await psql.fetchval(
        "INSERT INTO labels (ledger_id, name) VALUES ($1, 'theirs') RETURNING id", other.ledger_id
    )
    own = await psql.fetchval(
        "INSERT INTO labels (ledger_id, name) VALUES ($1, 'mine') RETURNING id", books.ledger_id
    )
    for path in (f"{books.path}/labels/{foreign}", f"{other.path}/labels/{foreign}"):
        assert (await post(path, name="x", color="red", version="1")).status_code == 404
        assert (await post(f"{path}/delete", transactions="0", version="1")).status_code == 404
    assert (await post(f"{books.path}/labels/{own}/merge", into=foreign)).status_code == 404
    answer, _ = await send("POST", f"{books.api}/labels/{own}/merge", {"into": foreign})
    assert answer.status_code == 404
    assert await psql.fetchval("SELECT name FROM labels WHERE id = $1", foreign) == "theirs"


async def test_merging_deleting_and_linking_at_once(books, send, psql):
    """Whatever the order, nobody gets a 500, and a link never points to nothing."""
    wallet = await psql.fetchval(
        "INSERT INTO wallets (ledger_id, name) VALUES ($1, 'w') RETURNING id", books.ledger_id
    )
    transactions = [
        await psql.fetchval(
            "INSERT INTO transactions (ledger_id, wallet_id, identity, group_key, occurred_at,"
            " type, asset, amount) VALUES ($1, $2, $3, $3, now(), 'receive', 'BTC', 1)"
            " RETURNING id",
            books.ledger_id,
            wallet,
            str(n),
        )
        for n in range(4)
    ]
    root = f"{books.api}/labels"
    for n in range(6):
        _, a = await send("POST", root, {"name": f"a{n}"})
        _, b = await send("POST", root, {"name": f"b{n}"})
        a, b = a["id"], b["id"]
        calls = [
            send("POST", f"{root}/{a}/merge", {"into": b}),
            send("POST", f"{root}/{b}/merge", {"into": a}),
            send("DELETE", f"{root}/{b}"),
            *(
                send("PUT", f"{books.api}/transactions/{one}/labels/{label}")
                for one in transactions
                for label in (a, b)
            ),
        ]
        answers = await asyncio.gather(*calls)
        assert {answer.status_code for answer, _ in answers} <= {200, 204, 404, 409, 422}
