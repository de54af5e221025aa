import pytest

from books import make_books, signed_in

EVM = "0x52908400098527886E0F7030069857D2E4169EE7"


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


async def add_movement(psql, books, wallet, amount="1.50"):
    await psql.execute(
        "INSERT INTO transactions (ledger_id, wallet_id, identity, group_key, occurred_at, type,"
        f" asset, amount) VALUES ($1, $2, $3, $3, now(), 'receive', 'BTC', {amount})",
        books.ledger_id,
        wallet,
        amount,
    )


async def test_the_way_of_a_wallet(books, post, text, psql):
    root = f"{books.path}/wallets"
    assert "No wallets yet" in await text(root)
    page = (await post(root, name="Cold", chain="ethereum", address=EVM)).headers["Location"]
    wallet = int(page.rpartition("/")[2])
    assert EVM in await text(root)
    await add_movement(psql, books, wallet)
    await add_movement(psql, books, wallet, "1000.0001")
    body = await text(page)
    assert "2 transactions" in body
    assert f"/transactions?wallet={wallet}" in body
    edited = await post(page, name="Colder", note="a\nb", version="1")
    assert edited.status_code == 303
    assert (await post(f"{page}/addresses", chain="none", address="me")).status_code == 303
    assert "No chain" in await text(page)
    refused = await post(f"{page}/delete", version="2", transactions="")
    assert refused.status_code == 412
    assert "The wallet has 2, not 0" in await refused.get_data(as_text=True)
    assert (await post(f"{page}/delete", version="2", transactions="2")).status_code == 303
    assert "No wallets yet" in await text(root)


async def test_what_is_wrong_stands_beside_what_was_entered(books, post, text):
    root = f"{books.path}/wallets"
    await post(root, name="Cold", chain="ethereum", address=EVM)
    taken = await post(root, name="Hot", chain="ethereum", address=EVM.lower())
    body = await taken.get_data(as_text=True)
    assert taken.status_code == 409
    assert "The wallet “Cold” has it already (Ethereum)" in body
    assert 'value="Hot"' in body
    assert '<option value="ethereum" selected>' in body
    assert "Hot" not in await text(root)  # all or nothing
    assert (await post(root, name="cold")).status_code == 409
    open_chain = await post(root, name="Hot", chain="", address=EVM)
    assert "Choose the chain of the address" in await open_chain.get_data(as_text=True)
    assert (await post(root, name="x" * 101)).status_code == 422
    assert (await post(f"{root}/1", name="x", note="", version="1")).status_code == 404


async def test_the_api_of_wallets(books, send, psql):
    root = f"{books.api}/wallets"
    made, wallet = await send("POST", root, {"name": "Cold", "note": "n"})
    one = f"{root}/{wallet['id']}"
    assert (made.status_code, made.headers["Location"]) == (201, one)
    _, wallet = await send("POST", f"{one}/addresses", {"chain": "137", "address": EVM})
    assert wallet["addresses"][0]["chain"] == "polygon"
    again, problem = await send("POST", f"{one}/addresses", {"chain": "137", "address": EVM})
    assert (again.status_code, problem["field"]) == (409, "address")
    await add_movement(psql, books, wallet["id"])
    _, held = await send("GET", f"{one}/balances")
    assert held["balances"] == [
        {"asset": "BTC", "contract": None, "balance": "1.5", "pending": "0", "transactions": 1}
    ]
    _, wallet = await send("PATCH", one, {"name": "Colder"})
    assert (wallet["name"], wallet["note"], wallet["version"]) == ("Colder", "n", 2)
    _, listed = await send("GET", root)
    assert listed["wallets"] == [wallet]
    gone, _ = await send("DELETE", f"{one}/addresses/{wallet['addresses'][0]['id']}")
    assert gone.status_code == 204
    gone, _ = await send("DELETE", one)
    assert gone.status_code == 204
    gone, _ = await send("GET", one)
    assert gone.status_code == 404


async def test_a_viewer_changes_nothing(app, psql):
    books = await make_books(psql, role="viewer")
    client, headers = signed_in(app, books), {"X-CSRF-Token": books.csrf_token}
    page = await client.get(f"{books.path}/wallets")
    assert "Make wallet" not in await page.get_data(as_text=True)
    for path in ("", "/1", "/1/delete", "/1/addresses", "/1/addresses/1/delete"):
        answer = await client.post(f"{books.path}/wallets{path}", form={}, headers=headers)
        assert answer.status_code == 403, path


async def test_another_ledgers_wallet_is_not_found(psql, books, send, post):
    other = await make_books(psql)
    foreign = await psql.fetchval(
        "INSERT INTO wallets (ledger_id, name) VALUES ($1, 'theirs') RETURNING id", other.ledger_id
    )
    page, one = f"{books.path}/wallets/{foreign}", f"{books.api}/wallets/{foreign}"
    assert (await post(page, name="x", note="", version="1")).status_code == 404
    assert (await post(f"{page}/delete", transactions="0", version="1")).status_code == 404
    for method, path, body in (
        ("GET", "", None),
        ("GET", "/balances", None),
        ("PATCH", "", {"name": "x"}),
        ("DELETE", "", None),
        ("POST", "/addresses", {"address": EVM}),
    ):
        answer, _ = await send(method, f"{one}{path}", body)
        assert answer.status_code == 404
    assert await psql.fetchval("SELECT name FROM wallets WHERE id = $1", foreign) == "theirs"


async def test_what_was_refused_is_not_shown(books, post):
    refused = await post(f"{books.path}/wallets", name="Cold", chain="bitcoin", address="a b")
    assert refused.status_code == 422
    page = await refused.get_data(as_text=True)
    assert 'value="Cold"' in page
    assert "No wallets yet" in page
