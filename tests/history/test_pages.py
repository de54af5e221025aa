"""The history's pages: who changed what, when, from what to what."""

import html

from history.conftest import Desk
from movements import make_rows
from people import come, share

HOSTILE = "<script>alert(1)</script>\"'&"


async def test_an_empty_history_and_a_first_entry(desk: Desk):
    says = await desk.says()
    assert says[-1] == "psql user postgres made this ledger."
    assert "let Ann Example in as owner" in says[0]
    page = await desk.get("/history?what=labels")
    assert "Nothing here" in page
    await desk.do("/labels", name="rent", color="red")
    assert (await desk.says("/history?what=labels")) == ["Ann Example added the label “rent”."]


async def test_what_each_command_says(desk: Desk):
    rows = await make_rows(desk.psql, desk.books)
    one = f"/transactions/{rows.ids[0]}"
    await desk.do(f"{one}/labels", label="rent")
    assert (await desk.says())[0] == "Ann Example labelled receive of 1 ETH “rent”."
    await desk.do(f"{one}/note", note="hello")
    assert (await desk.says())[0] == "Ann Example changed the note of receive of 1 ETH."
    await desk.do(f"{one}/contact", contact="Bob")
    assert (await desk.says())[0].startswith(
        "Ann Example added the contact “Bob”; changed the contact"
    )
    label = await desk.psql.fetchval(
        "SELECT id FROM labels WHERE ledger_id = $1", desk.books.ledger_id
    )
    await desk.do(f"/labels/{label}", name="Rent & <b>", color="teal")
    assert "renamed the label “rent” to “Rent & <b>”" in (await desk.says())[0]
    await desk.do(f"{one}/labels/{label}/delete")
    assert (await desk.says())[0] == "Ann Example took “Rent & <b>” off receive of 1 ETH."
    await desk.do(f"{one}/delete")
    assert (await desk.says())[0] == "Ann Example deleted receive of 1 ETH."


async def test_from_what_to_what_hostile_text_and_exact_amounts(desk: Desk):
    rows = await make_rows(desk.psql, desk.books)
    note = HOSTILE + "long " * 40
    await desk.do(f"/transactions/{rows.ids[0]}/note", note=note)
    page = await desk.get("/history")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert 'class="longtext"' in page
    await desk.psql.execute(
        "UPDATE transactions SET amount = 123456789.000000000000000001 WHERE id = $1", rows.ids[1]
    )
    page = await desk.get("/history")
    assert "psql user postgres" in page
    assert "000000000000000001" in page


async def test_pages_of_the_history_and_of_one_version(desk: Desk):
    rows = await make_rows(desk.psql, desk.books, 3)
    for number in range(60):
        await desk.do(f"/transactions/{rows.ids[number % 3]}/note", note=f"note {number}")
    first = await desk.says("/history?limit=25")
    assert len(first) == 25
    page = await desk.get("/history?limit=25")
    seen, following = [*first], page
    while 'rel="next"' in following:
        url = html.unescape(following.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0])
        following = await desk.get(url.removeprefix(desk.books.path))
        seen += await desk.says(url.removeprefix(desk.books.path))
    assert len(seen) == await desk.version()
    await desk.psql.execute(
        "INSERT INTO labels (ledger_id, name) SELECT $1, 'label ' || n FROM generate_series(1, 250) n",
        desk.books.ledger_id,
    )
    version = await desk.version()
    page = await desk.get("/history")
    assert "245 more rows" in page
    page = await desk.get(f"/history/{version}")
    assert page.count('class="changed"') == 100
    assert "Rows 1 to 100 of 250." in page
    url = html.unescape(
        page.split('aria-label="Last page"')[0].rsplit('href="', 1)[1].split('"')[0]
    )
    page = await desk.get(url.removeprefix(desk.books.path))
    assert page.count('class="changed"') == 50


async def test_the_history_of_one_transaction(desk: Desk):
    rows = await make_rows(desk.psql, desk.books)
    await desk.do(f"/transactions/{rows.ids[0]}/note", note="mine")
    await desk.do(f"/transactions/{rows.ids[1]}/note", note="other")
    await desk.do(f"/transactions/{rows.ids[0]}/labels", label="rent")
    says = await desk.says(f"/transactions/{rows.ids[0]}/history")
    assert [text.split()[2] for text in says[:2]] == ["labelled", "changed"]
    assert len(says) == 3
    assert "psql user postgres added" in says[2]
    answer = await desk.client.get(f"{desk.books.path}/transactions/{10**15}/history")
    assert answer.status_code == 404


async def test_filters(desk: Desk, app):
    rows = await make_rows(desk.psql, desk.books)
    bob = await come(app, desk.psql)
    await share(desk.psql, desk.books.ledger_id, bob, "editor")
    await desk.do(f"/transactions/{rows.ids[0]}/note", note="mine")
    await bob.post(f"{desk.books.path}/transactions/{rows.ids[1]}/labels", {"label": "his"})
    await desk.do(f"/transactions/{rows.ids[0]}/delete")
    query = f"/history?actor=user:{bob.id}"
    assert [text.split()[1] for text in await desk.says(query)] == ["labelled"]
    assert len(await desk.says("/history?what=notes")) == 1
    assert len(await desk.says("/history?what=transactions&operation=deleted")) == 1
    assert len(await desk.says("/history?what=access")) == 2
    assert len(await desk.says(f"/history?table=transactions&row={rows.ids[1]}")) == 2
    assert await desk.says("/history?from=2999-01-01") == []
    assert len(await desk.says("/history?from=today&to=today")) == await desk.version()
    assert await desk.says("/history?to=2001-01-01") == []
    for wrong in ("what=x", "operation=x", "from=never", "row=1", "table=labels", "nonsense=1",
                  "table=heads&row=1", "table=labels&row=x", "cursor=x", "limit=1"):  # fmt: skip
        answer = await desk.client.get(f"{desk.books.path}/history?{wrong}")
        assert answer.status_code == 422, wrong


async def test_a_filter_beyond_the_window(desk: Desk, monkeypatch):
    monkeypatch.setattr("freshledger.history.repository.WINDOW", 5)
    rows = await make_rows(desk.psql, desk.books)
    for number in range(30):
        await desk.do(f"/transactions/{rows.ids[number % 2]}/note", note=f"note {number}")
        if number % 10 == 0:
            await desk.do("/labels", name=f"label {number}", color="red")
    assert len(await desk.says("/history?what=labels")) == 3
    assert len(await desk.says("/history?what=notes&limit=25")) == 25
    assert len(await desk.says("/history?what=notes&limit=50")) == 30


async def test_others_see_nothing(desk: Desk, app):
    eve = await come(app, desk.psql)
    for path in ("/history", "/history/1", "/transactions/1/history"):
        assert (await eve.get(f"{desk.books.path}{path}")).status_code == 404
    assert (await desk.client.get(f"{desk.books.path}/history/{10**6}")).status_code == 404
