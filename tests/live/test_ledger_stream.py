"""What a stream of a ledger says, and that it says all of it."""



from streams import stream

NOTE = "INSERT INTO labels (ledger_id, name) VALUES ($1, gen_random_uuid())"


async def version_of(psql, books) -> int:
    return await psql.fetchval("SELECT version FROM heads WHERE ledger_id = $1", books.ledger_id)


async def test_a_commit_of_anybody_is_told(client, books, psql):
    version = await version_of(psql, books)
    async with stream(client, f"{books.path}/live") as live:
        first = await live.next()
        assert (first.name, first.id, first.data["version"]) == ("ready", version, version)
        assert first.data["since"] == version
        assert first.data["changes"] == []
        label = await psql.fetchval(f"{NOTE} RETURNING id", books.ledger_id)
        event = await live.next()
    assert (event.name, event.id) == ("change", version + 1)
    assert event.data["since"] == version
    assert event.data["epoch"] == first.data["epoch"]
    assert event.data["at"] <= event.data["sent"]
    user = await psql.fetchval("SELECT session_user::text")
    assert event.data["changes"] == [
        {"version": version + 1, "actor": user, "table": "labels", "operation": "I", "count": 1,
         "ids": [label]}
    ]  # fmt: skip
