"""The pages of imports, from the file to the result and back."""

import asyncio
from io import BytesIO
from typing import Any

import msgspec
from quart.datastructures import FileStorage

from freshledger.app import create_app
from freshledger.imports.files import uploads_folder
from freshledger.imports.formats.own import csv_header, csv_line


def upload(*texts: str, name: str = "export.csv") -> Any:
    return {"files": FileStorage(BytesIO(texts[0].encode()), filename=name)}


async def text_of(response: Any) -> str:
    return await response.get_data(as_text=True)


async def ended(client: Any, url: str) -> str:
    """Look at an import until no task works on it; each look waits for the database."""
    async with asyncio.timeout(30):
        while "hx-trigger" in (page := await text_of(await client.get(url))):
            pass
    return page


async def begin(client: Any, books: Any, text: str, **form: str) -> Any:
    form = {"wallet": "Main", "csrf_token": books.csrf_token} | form
    return await client.post(f"{books.path}/imports", form=form, files=upload(text))


async def post(client: Any, books: Any, url: str, **form: str) -> Any:
    return await client.post(url, form={"csrf_token": books.csrf_token} | form)


async def test_from_the_file_to_the_result_and_back(
    client: Any, books: Any, movement: Any, psql: Any
) -> None:
    assert "Nothing was imported yet" in await text_of(await client.get(f"{books.path}/imports"))
    assert (await client.get(f"{books.path}/imports/new")).status_code == 200
    rows = [movement("a", note="<script>"), movement("b", "2", status="pending", labels=("x",))]
    text = csv_header() + "".join(map(csv_line, rows)) + "\r\nbroken,line\r\n"
    response = await begin(client, books, text)
    assert response.status_code == 303
    url = response.location
    page = await ended(client, url)
    assert "Import what can be read, leave 1 rows out" in page
    assert "&lt;script&gt;" in page
    response = await post(client, books, f"{url}/commit")
    assert (response.status_code, response.location) == (303, url)
    page = await ended(client, url)
    assert "Take this import back" in page
    assert (
        await psql.fetchval(
            "SELECT count(*) FROM transactions WHERE ledger_id = $1", books.ledger_id
        )
        == 2
    )
    assert "export.csv" in await text_of(await client.get(f"{books.path}/imports"))
    assert (await post(client, books, f"{url}/take-back")).status_code == 303
    assert "was taken back: 2 transactions" in await ended(client, url)
    assert (
        await psql.fetchval(
            "SELECT count(*) FROM transactions WHERE ledger_id = $1", books.ledger_id
        )
        == 0
    )


async def test_what_the_file_does_not_say_is_asked(client: Any, books: Any, app: Any) -> None:
    before = spools(app)
    text = "transaction_hash,label,confirmations,value,timestamp\r\n"
    response = await begin(client, books, text)
    url = response.location
    page = await ended(client, url)
    assert "Time zone of the times" in page
    assert "Import</" not in page.replace("Import into", "")
    answered = await post(client, books, f"{url}/answers", timezone="Europe/Berlin")
    assert answered.status_code == 303
    assert "Already there" in await ended(client, url)
    assert (await post(client, books, f"{url}/discard")).status_code == 303
    assert (await client.get(url)).status_code == 404
    assert spools(app) == before


def spools(app: Any) -> set[Any]:
    return set(uploads_folder(app.settings).glob("*"))


async def test_wrong_files_get_a_sentence(client: Any, books: Any) -> None:
    response = await begin(client, books, "nothing,that,we,know\n1,2,3,4\n")
    page = await ended(client, response.location)
    assert "none of the known formats" in page
    response = await client.post(
        f"{books.path}/imports", form={"wallet": "Main", "csrf_token": books.csrf_token}
    )
    assert response.status_code == 422
    assert "choose at least one file" in await text_of(response)
    response = await begin(client, books, csv_header(), wallet="  ")
    assert response.status_code == 422
    response = await begin(client, books, csv_header(), timezone="Mars/Olympus")
    assert response.status_code == 422
    assert "time zone" in await text_of(response)


async def test_too_much_is_refused_with_a_sentence(books: Any, settings: Any) -> None:
    small = create_app(msgspec.structs.replace(settings, max_upload=100_000))
    async with small.test_app() as running:
        client = running.test_client()
        client.set_cookie("localhost", "freshledger", books.session_token)
        for length in ("10000000000", None):
            headers = {"Content-Type": "multipart/form-data; boundary=x"}
            if length:
                headers["Content-Length"] = length
            async with client.request(
                f"{books.path}/imports", method="POST", headers=headers
            ) as connection:
                await connection.send(b'--x\r\nContent-Disposition: form-data; name="files";')
                await connection.send(b' filename="a.csv"\r\n\r\n')
                for _ in range(20):
                    await connection.send(b"0" * 10_000)
                await connection.send_complete()
            response = await connection.as_response()
            assert response.status_code == 413
            assert "at most 100,000 bytes" in await text_of(response)
