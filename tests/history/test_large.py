"""Undo of large edits, of imports, and of whatever people do in any order."""

import asyncio
import random
import re
from decimal import Decimal
from io import BytesIO

import pytest
from quart.datastructures import FileStorage

from freshledger.history import commands
from freshledger.imports.formats.own import csv_header, csv_line
from freshledger.imports.formats.records import Movement
from freshledger.paging import Cursor
from history.conftest import Desk
from ledger import look
from movements import START, make_rows

BULK = 20_000


async def undo(desk: Desk, version: int) -> int:
    return await desk.do(f"/history/{version}/undo")


async def make_many(desk: Desk, count: int) -> None:
    rows = await make_rows(desk.psql, desk.books, 1)
    await desk.psql.execute(
        "INSERT INTO transactions (ledger_id, wallet_id, group_key, identity, occurred_at, type,"
        " asset, amount) SELECT $1, $2, 'g' || n, 'i' || n, now() - n * interval '1 min',"
        " 'receive', 'BTC', n / 8.0 FROM generate_series(2, $3::int) n",
        desk.books.ledger_id,
        rows.wallet,
        count,
    )


async def test_bulk_edits_of_20_000_rows(desk: Desk):
    await make_many(desk, BULK)
    await desk.do("/labels", name="rent", color="red")
    label = await desk.psql.fetchval(
        "SELECT id FROM labels WHERE ledger_id = $1", desk.books.ledger_id
    )
    preview = await (await desk.api("GET", "/transactions/preview?asset=BTC")).get_json()
    for body, path in (
        ({"add": [label]}, "/transactions/bulk/labels"),
        ({"note": "all of them"}, "/transactions/bulk/note"),
    ):
        where = {"filter": "asset=BTC", "count": preview["count"], "digest": preview["digest"]}
        before = await desk.content()
        answer = await desk.api("POST", path, body | where)
        assert answer.status_code == 200, await answer.get_data(as_text=True)
        assert (await answer.get_json())["changed"] == BULK - 1
        after = await desk.content()
        version = await desk.version()
        assert "19,999" in (await desk.says())[0]
        version = await undo(desk, version)
        assert await desk.content() == before
        version = await undo(desk, version)
        assert await desk.content() == after


def file_of(*names: str, **more: object) -> FileStorage:
    rows = [
        Movement(line=0, identity=name, group_key=name, occurred_at=START, type="receive",
                 status="confirmed", asset="ETH", amount=Decimal("1.5"), **more)
        for name in names
    ]  # fmt: skip
    text = csv_header() + "".join(map(csv_line, rows))
    return FileStorage(BytesIO(text.encode()), filename="mine.csv")


async def settled(desk: Desk, *statuses: str) -> None:
    """Look at the newest import until it has one of these statuses."""
    query = "SELECT status FROM imports WHERE ledger_id = $1 ORDER BY id DESC LIMIT 1"
    async with asyncio.timeout(30):
        while await desk.psql.fetchval(query, desk.books.ledger_id) not in statuses:
            pass


async def bring(desk: Desk, *names: str, **more: object) -> int:
    """Import a file through the pages; returns the version of the import."""
    answer = await desk.client.post(
        f"{desk.books.path}/imports",
        form={"wallet": "Main", "csrf_token": desk.books.csrf_token},
        files={"files": file_of(*names, **more)},
    )
    assert answer.status_code == 303
    await settled(desk, "staged")
    page = answer.location.removeprefix(desk.books.path)
    await desk.do(f"{page}/commit")
    await settled(desk, "done")
    return await desk.version()


async def test_an_import_its_undo_and_the_undo_of_that(desk: Desk):
    version = await bring(desk, "a", "b", labels=("rent",))
    assert (await desk.says())[0] == "Ann Example imported mine.csv: 2 transactions."
    row = await desk.psql.fetchval(
        "SELECT min(id) FROM transactions WHERE ledger_id = $1", desk.books.ledger_id
    )
    await desk.do(f"/transactions/{row}/note", note="kept")
    assert "taken back" in await desk.get(f"/history/{version}/undo")
    before = await desk.content(leave_out=("imports",))
    answer = await desk.post(f"/history/{version}/undo")
    assert "/imports/" in answer.location
    await settled(desk, "taken_back")
    assert not (await desk.content())["transactions"]
    says = await desk.says()
    assert says[0].startswith(
        "Ann Example took back the import of mine.csv: removed 2 transactions."
    )
    assert f"Undid version {version}" in says[0]
    back = await undo(desk, await desk.version())
    assert "brought back the import of mine.csv: 2 transactions" in (await desk.says())[0]
    assert await desk.content(leave_out=("imports",)) == before
    again = await undo(desk, back)
    assert not (await desk.content())["transactions"]
    await undo(desk, again)
    assert await desk.content(leave_out=("imports",)) == before
    history = await desk.says(f"/transactions/{row}/history")
    assert "imported mine.csv" in history[-1]


async def test_a_step_of_an_import_is_not_undone_alone(desk: Desk):
    version = await bring(desk, "a")
    says = await desk.says()
    assert [text.startswith("Ann Example") for text in says if "began to" in text] == [True]
    assert "one step of an import" in await desk.get(f"/history/{version - 1}/undo")


async def test_a_taken_back_import_that_came_again(desk: Desk):
    await bring(desk, "a", "b")
    imports = "SELECT max(id) FROM imports WHERE ledger_id = $1"
    first = await desk.psql.fetchval(imports, desk.books.ledger_id)
    await desk.do(f"/imports/{first}/take-back")
    await settled(desk, "taken_back")
    taken_back = await desk.version()
    again = await bring(desk, "b")
    answer = await desk.api("POST", f"/history/{taken_back}/undo", {})
    problem = await answer.get_json()
    assert answer.status_code == 409
    assert [(o["why"], o["version"]) for o in problem["obstacles"]] == [("taken", again)]
    done = await desk.api("POST", f"/history/{taken_back}/undo", {"in_part": True})
    assert await done.get_json() == {
        "undid": taken_back,
        "rows": 2,
        "left_out": 1,
        "import_id": None,
    }


async def test_undo_of_an_import_by_a_program(desk: Desk):
    version = await bring(desk, "a")
    answer = await desk.api("POST", f"/history/{version}/undo")
    assert answer.status_code == 202
    body = await answer.get_json()
    assert answer.headers["Location"].endswith(f"/imports/{body['import_id']}")
    await settled(desk, "taken_back")


async def test_a_deleted_row_that_comes_back_is_imported_once(desk: Desk):
    await bring(desk, "a", "b")
    row = await desk.psql.fetchval(
        "SELECT min(id) FROM transactions WHERE ledger_id = $1", desk.books.ledger_id
    )
    deleted = await desk.do(f"/transactions/{row}/delete")
    await undo(desk, deleted)
    await bring(desk, "a", "b")
    count = "SELECT count(*) FROM transactions WHERE ledger_id = $1"
    assert await desk.psql.fetchval(count, desk.books.ledger_id) == 2


class Anybody:
    """Does what people do, at random; each step makes one version or none."""

    def __init__(self, desk: Desk, seed: int) -> None:
        self.desk, self.dice = desk, random.Random(seed)

    async def one(self, table: str) -> int:
        found = await self.desk.psql.fetch(
            f"SELECT id FROM {table} WHERE ledger_id = $1 ORDER BY id", self.desk.books.ledger_id
        )
        return self.dice.choice([row[0] for row in found] or [0])

    async def act(self) -> None:
        row, label, contact, wallet = [
            await self.one(table) for table in ("transactions", "labels", "contacts", "wallets")
        ]
        name = self.dice.choice(("Ann", "rent", "Zoë", "x" * 90, "a & b")) + str(
            self.dice.randrange(4)
        )
        address = f"0x{self.dice.randrange(16**3):040x}"
        uses = await self.desk.psql.fetchval(
            "SELECT count(*) FROM transaction_labels WHERE label_id = $1", label
        )
        path, form = self.dice.choice(
            [
                (f"/transactions/{row}/labels", {"label": name}),
                (f"/transactions/{row}/labels", {"label": name}),
                (f"/transactions/{row}/note", {"note": name}),
                (f"/transactions/{row}/contact", {"contact": name}),
                (f"/transactions/{row}/labels/{label}/delete", {}),
                (f"/transactions/{row}/delete", {}),
                ("/labels", {"name": name, "color": "red"}),
                (f"/labels/{label}", {"name": name, "color": "blue"}),
                (f"/labels/{label}/merge", {"into": await self.one("labels")}),
                (f"/labels/{label}/delete", {"transactions": uses}),
                ("/contacts", {"name": name, "note": ""}),
                (f"/contacts/{contact}", {"name": name, "note": "new"}),
                (f"/contacts/{contact}/addresses", {"network": "evm", "address": address}),
                (f"/contacts/{contact}/delete", {"transactions": 0}),
                (f"/wallets/{wallet}", {"name": name, "note": "a wallet"}),
                (f"/wallets/{wallet}/addresses", {"chain": "ethereum", "address": address}),
                (
                    "/transactions",
                    {"wallet_id": wallet, "type": "send", "asset": "ETH", "amount": "-0.5",
                     "occurred_at": "2024-05-06T07:08:09", "status": "confirmed", "labels": name},
                ),
            ]
        )  # fmt: skip
        answer = await self.desk.post(path, **form)
        assert answer.status_code < 500, (path, form)


async def acts(desk: Desk, seed: int, steps: int = 30) -> list[tuple[int, dict]]:
    """Act at random; returns each new version with the content before it."""
    person, made = Anybody(desk, seed), []
    while len(made) < steps:
        before, at = await desk.content(), await desk.version()
        await person.act()
        now = await desk.version()
        assert now - at in {0, 1}
        if now > at:
            made.append((now, before))
    return made


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_is_done_is_undone_in_reverse(desk: Desk, seed: int):
    await make_rows(desk.psql, desk.books, 6)
    made = await acts(desk, seed)
    end = await desk.content()
    undone = []
    for version, before in reversed(made):
        undone.append(await undo(desk, version))
        assert await desk.content() == before, f"version {version}"
    for version in reversed(undone):
        await undo(desk, version)
    assert await desk.content() == end
    assert (await look(desk.psql, desk.books.ledger_id)).faults == set()


async def back(desk: Desk, seed: int) -> None:
    """Act at random, and undo it all: the ledger is as it was at each step."""
    for version, before in reversed(await acts(desk, seed)):
        await undo(desk, version)
        assert await desk.content() == before


async def test_a_planted_fault_is_seen(desk: Desk, monkeypatch):
    """Parts that are undone in the reverse order of the record miss what they need."""
    await make_rows(desk.psql, desk.books, 6)
    monkeypatch.setattr(commands, "_in_order", iter)
    with pytest.raises(AssertionError, match="/undo 409"):
        await back(desk, 1)


async def test_programs_read_the_history(desk: Desk):
    rows = await make_rows(desk.psql, desk.books)
    await desk.psql.execute(
        "UPDATE transactions SET amount = 0.000000010 WHERE id = $1", rows.ids[0]
    )
    version = await desk.do(f"/transactions/{rows.ids[0]}/note", note="mine")
    answer = await desk.api("GET", "/history?limit=25&table=transactions&row=" + str(rows.ids[0]))
    body = await answer.get_json()
    assert [one["version"] for one in body["versions"][:2]] == [version, version - 1]
    assert body["versions"][0]["name"] == "Ann Example"
    assert body["versions"][0]["rows"][0]["after"]["note"] == "mine"
    assert body["versions"][1]["rows"][0]["after"]["amount"] == "0.00000001"
    undone = await desk.api("POST", f"/history/{version}/undo", {})
    assert await undone.get_json() == {
        "undid": version,
        "rows": 1,
        "left_out": 0,
        "import_id": None,
    }
    one = await (await desk.api("GET", f"/history/{version + 1}")).get_json()
    assert one["entry"]["undid"] == version
    assert one["entry"]["rows"][0]["before"]["note"] == "mine"
    forged = Cursor(("x",)).encode(scope="history:[]")
    forged_rows = Cursor(("9" * 30,)).encode(scope="rows of version 1")
    for wrong in (
        "/history?nonsense=1",
        "/history?cursor=x",
        f"/history?cursor={forged}",
        "/history/1?x=1",
        f"/history/1?cursor={forged_rows}",
    ):
        assert (await desk.api("GET", wrong)).status_code == 422
    assert (await desk.api("GET", "/history/99999")).status_code == 404


async def test_secrets_stay_out_of_the_history(desk: Desk):
    answer = await desk.post("/tokens", name="program", scope="read", days="30")
    assert re.search(r"fl_\d+_", await answer.get_data(as_text=True))
    listed = await (await desk.api("GET", "/history")).get_data(as_text=True)
    assert '"table":"tokens"' in listed
    page = await desk.get("/history")
    assert not [word for word in ("token_hash", "program", "scope") if word in listed + page]
