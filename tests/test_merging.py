"""Two people's edits of one row, over the API: merged where both can stay, refused where not.

Each check is also run against a planted fault, and must see it.
"""

import asyncio
import random
from dataclasses import dataclass

import pytest
from sqlalchemy import Select, update

from books import make_books, signed_in
from freshledger import merging, named
from freshledger.changelog import row_edits
from freshledger.merging import LostEdit
from freshledger.transactions import repository
from locked import until_waiting
from movements import make_row

WRITERS, EDITS = 20, 4


@dataclass(frozen=True)
class Kind:
    """A table, and two of its fields with values to set."""

    table: str
    one: str
    first: str
    second: str
    other: str
    value: str


KINDS = [
    Kind("transactions", "note", "first", "second", "type", "fee"),
    Kind("wallets", "note", "first", "second", "name", "Colder"),
    Kind("contacts", "note", "first", "second", "name", "Anna"),
    Kind("labels", "color", "red", "pink", "name", "Rental"),
]


class Desk:
    """One row of a kind, and who works on it."""

    def __init__(self, kind: Kind, client, csrf, books, psql, row_id: int) -> None:
        self.kind, self.client, self.csrf, self.psql = kind, client, csrf, psql
        self.books, self.id = books, row_id
        self.path = f"{books.api}/{kind.table}/{row_id}"

    async def read(self) -> dict:
        return await (await self.client.get(self.path)).get_json()

    async def edit(self, version: int, **values) -> tuple[int, dict]:
        headers = self.csrf | {"If-Match": f'"{version}"'}
        answer = await self.client.patch(self.path, json=values, headers=headers)
        return answer.status_code, await answer.get_json()

    async def delete(self, version: int) -> tuple[int, dict | None]:
        headers = self.csrf | {"If-Match": f'"{version}"'}
        answer = await self.client.delete(self.path, headers=headers)
        return answer.status_code, await answer.get_json() if answer.status_code != 204 else None

    async def stored(self, column: str):
        return await self.psql.fetchval(
            f"SELECT {column} FROM {self.kind.table} WHERE id = $1", self.id
        )

    async def run(self, change: str, *values) -> None:
        """Change the row as somebody in psql would."""
        await self.psql.execute(
            f"UPDATE {self.kind.table} SET {change} WHERE id = {self.id}", *values
        )


@pytest.fixture(params=KINDS, ids=lambda kind: kind.table)
async def desk(request, client, csrf, books, psql):
    return await make_desk(request.param, client, csrf, books, psql)


@pytest.fixture
async def movement(client, csrf, books, psql):
    return await make_desk(KINDS[0], client, csrf, books, psql)


async def make_desk(kind, client, csrf, books, psql) -> Desk:
    table = kind.table if kind.table != "transactions" else "wallets"
    row_id = await psql.fetchval(
        f"INSERT INTO {table} (ledger_id, name) VALUES ($1, 'Some') RETURNING id", books.ledger_id
    )
    if kind.table == "transactions":
        row_id = await make_row(psql, books, row_id, 0)
    return Desk(kind, client, csrf, books, psql, row_id)


async def check_different_fields_stay(desk: Desk) -> None:
    kind = desk.kind
    assert (await desk.edit(1, **{kind.one: kind.first}))[0] == 200
    status, row = await desk.edit(1, **{kind.other: kind.value})
    assert (status, row["version"]) == (200, 3)
    assert (row[kind.one], row[kind.other]) == (kind.first, kind.value)
    assert await desk.stored(kind.one) == kind.first
    assert await desk.stored(kind.other) == kind.value


async def check_the_same_field_is_refused_with_both(desk: Desk) -> None:
    kind = desk.kind
    before = (await desk.read())[kind.one]
    await desk.edit(1, **{kind.one: kind.first})
    now = await desk.read()
    status, problem = await desk.edit(1, **{kind.one: kind.second, kind.other: kind.value})
    assert status == 412
    assert await desk.stored(kind.one) == kind.first, "the refused edit was written"
    assert problem["code"] == "precondition_failed"
    (conflict,) = problem["conflicts"]
    changed = {name: conflict.pop(name) for name in ("changed_by", "changed_at")}
    assert conflict == {
        "field": kind.one, "yours": kind.second, "theirs": kind.first, "base": before,
    }  # fmt: skip
    assert problem["current"] == now
    assert changed == {name: problem[name] for name in changed}
    assert problem["changed_by"] == "Ann Example"
    assert problem["changed_at"].endswith("Z")
    assert await desk.stored(kind.other) != kind.value
    assert await desk.stored("version") == 2


async def check_an_edit_that_waits_for_another_sees_it(desk: Desk) -> None:
    kind = desk.kind
    started = desk.psql.transaction()
    await started.start()
    await desk.run(f"{kind.one} = $1", kind.first)
    edit = asyncio.ensure_future(desk.edit(1, **{kind.one: kind.second}))
    await until_waiting(desk.psql)
    await started.commit()
    status, problem = await edit
    assert status == 412
    assert problem["conflicts"][0]["theirs"] == kind.first
    assert problem["changed_by"] == "psql user postgres"
    assert await desk.stored(kind.one) == kind.first


async def check_no_acknowledged_edit_is_lost(desk: Desk, database) -> None:
    """Writers edit fields at random: what each replaced is what its maker had seen."""
    dice = random.Random(7)
    acknowledged: dict[int, tuple[str, str]] = {}
    refused = 0

    async def write(writer: int) -> None:
        nonlocal refused
        for turn in range(EDITS):
            seen = await desk.read()
            name, value = dice.choice(
                [
                    ("note", f"note {writer} {turn}"),
                    ("amount", f"{writer}.{turn}1"),
                    ("counterparty", f"0x{writer:020x}{turn:020x}"),
                    ("contact_id", None),
                    ("occurred_at", f"2024-05-{writer + 1:02}T10:{turn:02}:00Z"),
                ]
            )
            status, answer = await desk.edit(seen["version"], **{name: value})
            assert status in {200, 412}, answer
            if status == 412:
                refused += 1
            elif value is not None:
                acknowledged[answer["version"]] = (name, seen[name])

    await asyncio.gather(*(write(number) for number in range(WRITERS)))
    async with database.read() as session:
        log = await row_edits(
            session, ledger_id=desk.books.ledger_id, table="transactions", row_id=desk.id,
            since_version=1,
        )  # fmt: skip
    assert len(log) == len(acknowledged)
    assert refused, "nobody met anybody"
    for edit in log:
        name, seen = acknowledged[edit.version]
        assert set(edit.after) - {"hand_edited"} == {name, "version"}
        assert plain(edit.before[name]) == plain(seen), "an edit replaced what nobody had seen"
    final = await desk.read()
    for name in ("note", "amount", "counterparty", "occurred_at"):
        last = [edit.after[name] for edit in log if name in edit.after]
        assert not last or plain(last[-1]) == plain(final[name])


def plain(value) -> str:
    """A time or an amount in one way of writing it."""
    return str(value).replace("+00:00", "Z")


async def test_different_fields_stay(desk):
    await check_different_fields_stay(desk)


async def test_the_same_field_is_refused_with_both(desk):
    await check_the_same_field_is_refused_with_both(desk)


async def test_an_edit_that_waits_for_another_sees_it(desk):
    await check_an_edit_that_waits_for_another_sees_it(desk)


async def test_no_acknowledged_edit_is_lost(movement, database):
    await check_no_acknowledged_edit_is_lost(movement, database)


async def test_the_same_value_twice_is_no_conflict(desk):
    kind = desk.kind
    await desk.edit(1, **{kind.one: kind.first})
    status, row = await desk.edit(1, **{kind.one: kind.first})
    assert (status, row["version"]) == (200, 2)


async def test_what_psql_did_is_merged_or_told(desk):
    kind = desk.kind
    await desk.run(f"{kind.other} = $1", kind.value)
    status, row = await desk.edit(1, **{kind.one: kind.first})
    assert (status, row[kind.other]) == (200, kind.value)
    status, problem = await desk.edit(1, **{kind.other: "income"})
    assert (status, problem["changed_by"]) == (412, "psql user postgres")


async def test_a_change_without_record_is_not_merged_over(desk):
    """An import's rows are not in the record: nobody knows what it changed."""
    kind = desk.kind
    async with desk.psql.transaction():
        await desk.psql.execute("SELECT set_config('freshledger.import', '1', true)")
        await desk.run(f"{kind.other} = $1", kind.value)
    await desk.run(f"{kind.other} = {kind.other}")
    status, problem = await desk.edit(1, **{kind.one: kind.first})
    assert status == 412
    (conflict,) = problem["conflicts"]
    assert "base" not in conflict
    assert (problem["changed_by"], problem["changed_at"]) == (None, None)
    assert (await desk.edit(3, **{kind.one: kind.first}))[0] == 200


async def test_a_row_that_came_back_is_another_one(movement):
    """Deleted and put back under its id: the record does not lead from one to the other."""
    columns = "ledger_id, id, wallet_id, group_key, identity, occurred_at, type, asset, amount"
    kept = await movement.psql.fetchrow(
        f"DELETE FROM transactions WHERE id = $1 RETURNING {columns}, version", movement.id
    )
    await movement.psql.execute(
        f"INSERT INTO transactions ({columns}, note, version) OVERRIDING SYSTEM VALUE"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'back', $10 + 1)",
        *kept,
    )
    assert (await movement.edit(1, note="mine"))[0] == 412
    assert (await movement.edit(2, note="mine"))[0] == 200


async def test_a_version_that_never_was_is_refused(desk):
    kind = desk.kind
    assert (await desk.edit(7, **{kind.one: kind.first}))[0] == 412
    assert (await desk.edit(7, **{kind.other: await desk.stored(kind.other)}))[0] == 412
    assert (await desk.edit(0, **{kind.one: kind.first}))[0] == 412
    assert await desk.stored("version") == 1


async def test_a_deletion_is_never_merged(desk):
    kind = desk.kind
    await desk.edit(1, **{kind.other: kind.value})
    status, problem = await desk.delete(1)
    assert status == 412
    (conflict,) = problem["conflicts"]
    assert (conflict["field"], conflict["theirs"]) == (kind.other, kind.value)
    assert "yours" not in conflict
    assert conflict["base"] != kind.value
    assert problem["current"]["version"] == 2
    assert await desk.stored("version") == 2
    assert (await desk.delete(2))[0] == 204


async def test_a_deletion_that_waits_for_an_edit_sees_it(desk):
    started = desk.psql.transaction()
    await started.start()
    await desk.run(f"{desk.kind.one} = $1", desk.kind.first)
    deletion = asyncio.ensure_future(desk.delete(1))
    await until_waiting(desk.psql)
    await started.commit()
    assert (await deletion)[0] == 412
    assert await desk.stored(desk.kind.one) == desk.kind.first


async def test_whatever_is_there(desk):
    await desk.run(f"{desk.kind.one} = $1", desk.kind.first)
    any_version = desk.csrf | {"If-Match": "*"}
    answer = await desk.client.patch(
        desk.path, json={desk.kind.one: desk.kind.second}, headers=any_version
    )
    assert answer.status_code == 200
    assert await desk.stored(desk.kind.one) == desk.kind.second
    assert (await desk.client.delete(desk.path, headers=any_version)).status_code == 204


async def test_amounts_and_times_are_told_as_the_api_writes_them(movement):
    await movement.edit(1, amount="1000000", occurred_at="2024-05-01T12:00:00+02:00")
    _, problem = await movement.edit(1, amount="2", occurred_at="2024-05-02T12:00:00.5Z")
    told = {one["field"]: one for one in problem["conflicts"]}
    amount, moment = told["amount"], told["occurred_at"]
    assert (amount["base"], amount["theirs"], amount["yours"]) == ("1", "1000000", "2")
    assert (moment["base"], moment["theirs"], moment["yours"]) == (
        "2024-03-01T12:00:00Z", "2024-05-01T10:00:00Z", "2024-05-02T12:00:00.500000Z",
    )  # fmt: skip


async def test_another_persons_name_is_told(movement, app, psql, books):
    other = await make_books(psql)
    await psql.execute("UPDATE users SET name = 'Bob' WHERE id = $1", other.user_id)
    await psql.execute(
        "INSERT INTO members VALUES ($1, $2, 'editor')", books.ledger_id, other.user_id
    )
    headers = {"X-CSRF-Token": other.csrf_token}
    theirs = Desk(movement.kind, signed_in(app, other), headers, books, psql, movement.id)
    await theirs.edit(1, note="Bob's")
    _, problem = await movement.edit(1, note="mine")
    assert problem["changed_by"] == "Bob"


# Planted faults


@pytest.fixture
def ignores_the_record(monkeypatch):
    monkeypatch.setattr(merging.Past, "is_current", True)


@pytest.fixture
def looks_without_a_lock(monkeypatch):
    monkeypatch.setattr(Select, "with_for_update", lambda statement, **_: statement)


@pytest.fixture
def refuses_and_writes(monkeypatch, desk):
    async def merge(session, past, values):
        try:
            return await merging.merge(session, past, values)
        except LostEdit:
            await session.execute(
                update(past.model).where(past.model.id == desk.id).values(**values)
            )
            await session.commit()
            raise

    monkeypatch.setattr(repository, "merge", merge)
    monkeypatch.setattr(named, "merge", merge)


@pytest.mark.usefixtures("ignores_the_record")
async def test_a_merge_that_ignores_the_record_is_seen(desk):
    with pytest.raises(AssertionError):
        await check_the_same_field_is_refused_with_both(desk)


@pytest.mark.usefixtures("ignores_the_record")
async def test_a_merge_that_ignores_the_record_is_seen_by_many(movement, database):
    with pytest.raises(AssertionError):
        await check_no_acknowledged_edit_is_lost(movement, database)


@pytest.mark.usefixtures("looks_without_a_lock")
async def test_a_look_without_a_lock_is_seen(desk):
    with pytest.raises(AssertionError):
        await check_an_edit_that_waits_for_another_sees_it(desk)


@pytest.mark.usefixtures("refuses_and_writes")
async def test_a_refusal_that_writes_is_seen(desk):
    with pytest.raises(AssertionError, match="the refused edit was written"):
        await check_the_same_field_is_refused_with_both(desk)
