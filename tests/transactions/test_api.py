"""The API of transactions: round trips, exact amounts, and errors that name their field."""

from urllib.parse import urlencode

import pytest

from books import make_books, signed_in

ANY = {"If-Match": "*"}
EXACT = "-0.12345678901234567890123456789"


@pytest.fixture
def url(books):
    return f"{books.api}/transactions"


@pytest.fixture
async def made(client, csrf, url, movement):
    response = await client.post(url, json=movement, headers=csrf)
    assert response.status_code == 201, await response.get_data()
    return await response.get_json()


async def problem(response) -> tuple[int, str, str | None]:
    assert response.content_type == "application/problem+json"
    body = await response.get_json()
    return response.status_code, body["code"], body.get("field")


async def test_a_movement_made_by_hand_comes_back_exact(client, url, made, things):
    expected = {
        "wallet": "Cold",
        "wallet_id": things.wallet,
        "chain": "ethereum",
        "occurred_at": "2024-05-01T10:00:00Z",
        "type": "send",
        "status": "confirmed",
        "asset": "ETH",
        "amount": EXACT,
        "counterparty": things.address,
        "contact": "Bob",
        "contact_id": things.bob,
        "contact_by_hand": False,
        "labels": [],
        "note": "rent for May",
        "fiat_value": None,
        "version": 1,
    }
    assert expected.items() <= made.items()
    response = await client.get(f"{url}/{made['id']}")
    assert await response.get_json() == made
    listed = await (await client.get(url)).get_json()
    assert listed["transactions"] == [made]
    assert listed["next"] is listed["previous"] is None


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("2024-05-01T10:00:05.5Z", "2024-05-01T10:00:05.500000Z"),
        ("infinity", "9999-12-30T00:00:00Z"),
        ("-infinity", "0001-01-02T00:00:00Z"),
        ("20000-01-01T00:00Z", "9999-12-30T00:00:00Z"),
    ],
)
async def test_a_time_has_one_text_also_one_that_is_none(psql, client, url, made, stored, shown):
    await psql.execute(
        "UPDATE transactions SET occurred_at = $2::text::timestamptz, note = '' WHERE id = $1",
        made["id"],
        stored,
    )
    alone = await (await client.get(f"{url}/{made['id']}")).get_json()
    (listed,) = (await (await client.get(url)).get_json())["transactions"]
    assert alone == listed
    assert alone["occurred_at"] == shown
    page = await client.get(url.removeprefix("/api/v1"))
    assert page.status_code == 200


async def test_a_correction_is_remembered_and_null_takes_away(client, csrf, url, made):
    one = f"{url}/{made['id']}"
    body = {"type": "fee", "amount": "1e-30", "note": None, "counterparty": None}
    response = await client.patch(one, json=body, headers=csrf | ANY)
    changed = await response.get_json()
    assert changed["amount"] == "0." + "0" * 29 + "1"
    assert (changed["type"], changed["note"], changed["contact"]) == ("fee", "", None)
    assert changed["hand_edited"] == ["amount", "counterparty", "note", "type"]
    assert changed["version"] == 2
    again = await client.patch(one, json=body, headers=csrf | ANY)
    assert await again.get_json() == changed


async def test_a_deleted_row_of_a_source_leaves_a_tombstone(psql, client, csrf, url, made, books):
    await psql.execute("UPDATE transactions SET identity = 'row 1' WHERE id = $1", made["id"])
    assert (await client.delete(f"{url}/{made['id']}", headers=csrf | ANY)).status_code == 204
    again = await client.delete(f"{url}/{made['id']}", headers=csrf | ANY)
    assert await problem(again) == (404, "not_found", None)
    query = "SELECT identity FROM tombstones WHERE ledger_id = $1"
    assert await psql.fetchval(query, books.ledger_id) == "row 1"


async def test_a_row_made_by_hand_leaves_none(psql, client, csrf, url, made, books):
    assert (await client.delete(f"{url}/{made['id']}", headers=csrf | ANY)).status_code == 204
    query = "SELECT count(*) FROM tombstones WHERE ledger_id = $1"
    assert await psql.fetchval(query, books.ledger_id) == 0


async def test_labels_are_put_and_taken_any_number_of_times(client, csrf, url, made, things):
    label = f"{url}/{made['id']}/labels/{things.rent}"
    counts = []
    for method in (client.put, client.put, client.delete, client.delete):
        counts.append((await (await method(label, headers=csrf)).get_json())["changed"])
        one = await (await client.get(f"{url}/{made['id']}")).get_json()
        assert one["version"] == made["version"]
        counts.append([tag["name"] for tag in one["labels"]])
    assert counts == [1, ["Rent"], 0, ["Rent"], 1, [], 0, []]
    for wrong in (f"{url}/{made['id']}/labels/0", f"{url}/0/labels/{things.rent}"):
        assert (await client.put(wrong, headers=csrf)).status_code == 404


async def test_a_filter_is_edited_with_its_preview(client, csrf, url, movement, things):
    for asset in ("BTC", "BTC", "ETH"):
        await client.post(url, json=movement | {"asset": asset}, headers=csrf)
    query = urlencode([("asset", "BTC"), ("not.label", things.tax)])
    seen = await (await client.get(f"{url}/preview?{query}")).get_json()
    assert seen["count"] == 2
    body = {"filter": query, **seen, "add": [things.rent]}
    response = await client.post(f"{url}/bulk/labels", json=body, headers=csrf)
    assert await response.get_json() == {"matched": 2, "changed": 2}
    body = {"filter": query, **seen, "note": "all"}
    response = await client.post(f"{url}/bulk/note", json=body, headers=csrf)
    assert await response.get_json() == {"matched": 2, "changed": 2}
    response = await client.post(f"{url}/bulk/note", json=body, headers=csrf)
    assert await problem(response) == (412, "precondition_failed", "digest")
    listed = await (await client.get(url)).get_json()
    ids = [row["id"] for row in listed["transactions"]]
    body = {"ids": ids, "contact_id": things.bob}
    response = await client.post(f"{url}/bulk/contact", json=body, headers=csrf)
    assert await response.get_json() == {"matched": 3, "changed": 3}


async def test_totals_are_of_the_lists_own_version(client, csrf, url, movement):
    kinds = (("send", "-2", "confirmed"), ("receive", "5", "confirmed"), ("fee", "-0.1", "confirmed"),
             ("receive", "7", "pending"), ("send", "0", "failed"))  # fmt: skip
    for kind, amount, status in kinds:
        body = movement | {"type": kind, "amount": amount, "status": status}
        await client.post(url, json=body, headers=csrf)
    listed = await (await client.get(f"{url}?totals=1")).get_json()
    alone = await (await client.get(f"{url}/totals")).get_json()
    sums = {"asset": "ETH", "contract": None, "rows": 5, "in": "5", "out": "2", "fees": "0.1",
            "net": "2.9", "pending": "7"}  # fmt: skip
    assert alone == listed["totals"]
    assert alone == {
        "version": listed["version"],
        "count": 5,
        "pending_count": 1,
        "assets": [sums],
    }


async def test_the_movements_of_a_group_stand_together(client, csrf, url, movement):
    for group in ("a", "b", "a"):
        made = await client.post(url, json=movement | {"group_key": group}, headers=csrf)
    one = (await made.get_json())["id"]
    group = await (await client.get(f"{url}/{one}/group")).get_json()
    assert [row["group_key"] for row in group["transactions"]] == ["a", "a"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("wallet_id", 0), ("wallet_id", "1"), ("wallet_id", 10**6), ("occurred_at", "yesterday"),
        ("occurred_at", "2024-05-01T12:00:00"), ("type", "gift"), ("status", "done"),
        ("asset", ""), ("asset", "x" * 101), ("amount", 0.5), ("amount", "1,5"),
        ("amount", "1e400"), ("chain", "nowhere"), ("counterparty", "a b"), ("txid", "a b"),
        ("contract", "short"), ("contact_id", 10**6), ("contact_id", 2**64), ("labels", [0]),
        ("fiat_value", "ten"), ("fiat_currency", "€"), ("note", "x" * 10_001), ("color", "red"),
    ],
)  # fmt: skip
async def test_each_wrong_field_is_named(field, value, client, csrf, url, movement):
    response = await client.post(url, json=movement | {field: value}, headers=csrf)
    assert await problem(response) == (422, "invalid", field)


@pytest.mark.parametrize("field", ["wallet_id", "occurred_at", "type", "asset", "amount"])
async def test_each_missing_field_is_named(field, client, csrf, url, movement):
    del movement[field]
    response = await client.post(url, json=movement, headers=csrf)
    assert await problem(response) == (422, "invalid", field)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"null"])
async def test_a_body_that_is_no_object_is_refused(body, client, csrf, url):
    response = await client.post(url, data=body, headers=csrf)
    assert await problem(response) == (422, "invalid", "body")


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("?colour=red", "colour"), ("?asset=BTC&not.color=x", "not.color"), ("?cursor=x", "cursor"),
        ("?limit=1000", "limit"), ("?sort=name", "sort"), ("?at=never", "at"),
        ("?totals=yes", "totals"), ("?from=never", "from"), ("/totals?limit=25", "limit"),
        ("/preview?sort=time", "sort"),
    ],
)  # fmt: skip
async def test_each_wrong_parameter_is_named(path, field, client, url):
    assert await problem(await client.get(url + path)) == (422, "invalid", field)


@pytest.mark.parametrize(
    ("kind", "body", "field"),
    [
        ("labels", {"ids": [1]}, "add"),
        ("labels", {"ids": [1], "add": [1], "remove": [2]}, "add"),
        ("labels", {"add": [1]}, "ids"),
        ("labels", {"ids": [], "add": [1]}, "ids"),
        ("labels", {"ids": [1], "group_key": "x", "add": [1]}, "ids"),
        ("labels", {"filter": "", "add": [1]}, "digest"),
        ("labels", {"filter": "x=1", "count": 1, "digest": "1", "add": [1]}, "x"),
        ("labels", {"filter": "", "count": 2**63, "digest": "1", "add": [1]}, "count"),
        ("labels", {"filter": "", "count": -1, "digest": "1", "add": [1]}, "count"),
        ("note", {"ids": [1]}, "note"),
        ("contact", {"ids": [1]}, "contact_id"),
        ("contact", {"ids": [1], "contact_id": 10**9}, "contact_id"),
    ],
)
async def test_a_bulk_edit_says_what_is_wrong(kind, body, field, client, csrf, url):
    response = await client.post(f"{url}/bulk/{kind}", json=body, headers=csrf)
    assert await problem(response) == (422, "invalid", field)


async def test_a_count_that_never_was_is_another_set(client, csrf, url):
    body = {"filter": "", "count": 2**63 - 1, "digest": "1", "note": "x"}
    response = await client.post(f"{url}/bulk/note", json=body, headers=csrf)
    assert await problem(response) == (412, "precondition_failed", "digest")


async def test_a_failed_movement_has_no_amount(client, csrf, url, movement):
    response = await client.post(url, json=movement | {"status": "failed"}, headers=csrf)
    assert await problem(response) == (422, "invalid", "amount")
    made = await client.post(url, json=movement | {"status": "failed", "amount": "0"}, headers=csrf)
    one = f"{url}/{(await made.get_json())['id']}"
    response = await client.patch(one, json={"amount": "1"}, headers=csrf | ANY)
    assert await problem(response) == (422, "invalid", "amount")


async def test_a_list_is_one_statement_beside_the_viewers_look_up(
    client, csrf, url, movement, count_queries
):
    for rows in (0, 30):
        for _ in range(rows):
            await client.post(url, json=movement, headers=csrf)
        count_queries.clear()
        listed = await (await client.get(f"{url}?limit=25&asset=ETH&not.label=none")).get_json()
        assert len(count_queries) == 2
        await client.get(f"{url}?limit=25&cursor={listed['last']}")
        assert len(count_queries) == 4


async def test_ids_that_no_bigint_holds_are_no_address(client, csrf, url):
    assert (await client.get(f"{url}/{2**63}")).status_code == 404
    assert (await client.get(f"/api/v1/ledgers/{2**64}/transactions")).status_code == 404
    assert (await client.put(f"{url}/1/labels/{2**70}", headers=csrf)).status_code == 404


async def test_nothing_is_reached_through_another_ledger(psql, app, url, made, things):
    other = await make_books(psql)
    theirs = signed_in(app, other)
    headers = {"X-CSRF-Token": other.csrf_token}
    assert (await theirs.get(url)).status_code == 404
    own = f"{other.api}/transactions"
    one = f"{own}/{made['id']}"
    answers = [
        await theirs.get(one),
        await theirs.get(f"{one}/group"),
        await theirs.patch(one, json={"note": "x"}, headers=headers | ANY),
        await theirs.delete(one, headers=headers | ANY),
        await theirs.put(f"{one}/labels/{things.rent}", headers=headers),
        await theirs.post(
            f"{own}/bulk/note", json={"ids": [made["id"]], "note": "x"}, headers=headers
        ),
    ]
    assert [answer.status_code for answer in answers] == [404] * 6
    assert await psql.fetchval("SELECT version FROM transactions WHERE id = $1", made["id"]) == 1


async def test_the_api_describes_itself(client):
    schema = await (await client.get("/openapi.json")).get_json()
    paths = schema["paths"]
    listed = paths["/api/v1/ledgers/{ledger_id}/transactions"]["get"]
    names = {parameter["name"] for parameter in listed["parameters"]}
    assert {"from", "not.to", "min_amount", "q", "cursor", "totals", "ledger_id"} <= names
    text = str(schema)
    for name in schema["components"]["schemas"]:
        assert f"#/components/schemas/{name}" in text
    assert all(path.startswith("/api/v1/") for path in paths)
    page = await (await client.get("/api/docs")).get_data(as_text=True)
    assert 'data-schema="/openapi.json"' in page
    assert "<style" not in page
    assert 'src="/static/vendor/swagger-ui-bundle.js' in page
