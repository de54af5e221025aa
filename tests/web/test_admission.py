"""An upload is let in before it is read: nobody but who may change something fills the disk."""

import asyncio

import pytest

from books import make_books, signed_in
from freshledger.web.session import MAX_IN_MEMORY

HEAD = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'


async def upload(client, path, size=1, **headers):
    """Send the beginning of a file, never its end; return the answer."""
    headers = {"Content-Type": "multipart/form-data; boundary=x", **headers}
    async with asyncio.timeout(10):
        async with client.request(path, method="POST", headers=headers) as sending:
            await sending.send(HEAD + b"y" * size)
    return await sending.as_response()


@pytest.mark.parametrize("path", ["{}/imports", "{}/contacts/import", "/settings"])
async def test_a_strangers_upload_is_not_read(app, books, path):
    answer = await upload(app.test_client(), path.format(books.path))
    assert answer.location == "/login"
    answer = await upload(app.test_client(), f"{books.api}/imports", Authorization="Bearer fl_1_x")
    assert answer.status_code == 401


async def test_nor_is_a_viewers_or_that_of_another_site(app, client, psql, books):
    eve = await make_books(psql)
    assert (await upload(client, f"{eve.path}/imports")).status_code == 404
    await psql.execute("UPDATE members SET role = 'viewer' WHERE user_id = $1", books.user_id)
    assert (await upload(client, f"{books.path}/imports")).status_code == 403
    crossed = {"Sec-Fetch-Site": "cross-site"}
    assert (await upload(signed_in(app, eve), f"{eve.path}/imports", **crossed)).status_code == 403


@pytest.mark.parametrize("path", ["/nowhere", "/login"])
async def test_where_anybody_may_send_no_more_than_a_form_is_read(app, path):
    answer = await upload(app.test_client(), path, MAX_IN_MEMORY)
    assert answer.status_code == 413
    assert not app.database.checked_out
