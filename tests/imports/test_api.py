"""Imports and exports by the JSON API."""

import asyncio
from io import BytesIO
from typing import Any

from quart.datastructures import FileStorage

from freshledger.imports.formats.own import csv_header, csv_line


async def until(client: Any, url: str, *statuses: str) -> Any:
    """Ask until the status is one of these; each answer waits for the database."""
    async with asyncio.timeout(30):
        while True:
            found = await (await client.get(url)).get_json()
            if found["status"] in statuses:
                return found


async def test_stage_commit_and_take_back(
    client: Any, books: Any, csrf: Any, movement: Any
) -> None:
    text = csv_header() + csv_line(movement("a")) + csv_line(movement("b", status="pending"))
    files = {"files": FileStorage(BytesIO(text.encode()), filename="export.csv")}
    response = await client.post(
        f"{books.api}/imports", form={"wallet": "Main"}, files=files, headers=csrf
    )
    assert response.status_code == 202
    url = response.headers["Location"]
    staged = await until(client, url, "staged")
    assert (staged["status"], staged["counts"]["new"], staged["wallet"]) == ("staged", 2, "Main")
    assert staged["files"] == [
        {"name": "export.csv", "format": "freshledger-csv", "size": len(text.encode())}
    ]
    assert (await client.post(f"{url}/commit", headers=csrf)).status_code == 202
    done = await until(client, url, "done", "failed")
    assert (done["status"], done["counts"]["new"], done["error"]) == ("done", 2, None)
    again = await client.post(f"{url}/commit", headers=csrf)
    assert again.status_code == 409
    assert (await client.delete(url, headers=csrf)).status_code == 202
    await until(client, url, "taken_back")
    assert (await client.post(f"{url}/cancel", headers=csrf)).status_code == 409


async def test_wrong_files_leave_nothing(client: Any, books: Any, csrf: Any, psql: Any) -> None:
    files = {"files": FileStorage(BytesIO(b"what,is,this\n"), filename="x.csv")}
    response = await client.post(
        f"{books.api}/imports", form={"wallet": "Main"}, files=files, headers=csrf
    )
    assert response.status_code == 202
    url = response.headers["Location"]
    found = await until(client, url, "staged")
    assert found["counts"] is None
    assert found["error"].startswith("x.csv: this is none of the known formats")
    assert (await client.post(f"{url}/commit", headers=csrf)).status_code == 409
    assert (await client.delete(url, headers=csrf)).status_code == 204
    left = "SELECT count(*) FROM wallets WHERE ledger_id = $1"
    assert await psql.fetchval(left, books.ledger_id) == 0


async def test_make_and_fetch_an_export(
    client: Any, books: Any, csrf: Any, desk: Any, movement: Any
) -> None:
    await desk.bring(desk.file(movement("a"), movement("b", asset="BTC")))
    body = {"format": "jsonl", "filter": "asset=BTC"}
    response = await client.post(f"{books.api}/exports", json=body, headers=csrf)
    assert response.status_code == 201
    url = response.headers["Location"]
    done = await until(client, url, "done", "failed")
    file = await client.get(f"{url}/file")
    assert file.headers["Ledger-Version"] == str(done["version"])
    assert len((await file.get_data(as_text=True)).splitlines()) == 1
    wrong = await client.post(f"{books.api}/exports", json={"format": "xls"}, headers=csrf)
    assert wrong.status_code == 422
    wrong = await client.post(
        f"{books.api}/exports", json={"format": "csv", "filter": "nonsense=1"}, headers=csrf
    )
    assert wrong.status_code == 422
