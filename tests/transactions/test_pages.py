"""The transactions page in a browser without scripts, and what htmx asks of it."""

import re

import pytest

from books import make_books, signed_in
from movements import ANN, make_row, make_rows

HTMX = {"HX-Request": "true"}


async def read(client, path, *, status=200, **options):
    answer = await client.get(path, **options)
    text = await answer.get_data(as_text=True)
    assert answer.status_code == status, text[:2000]
    return text


def row_ids(text):
    return [int(number) for number in re.findall(r'<tr id="row-(\d+)"', text)]


@pytest.fixture
def base(books):
    return f"{books.path}/transactions"


@pytest.fixture
async def rows(psql, books):
    return await make_rows(psql, books)


async def test_an_empty_ledger_says_what_to_do(client, base):
    text = await read(client, base)
    assert "No transactions yet" in text
    assert f"{base}/new" in text
    assert "imports/new" in text


async def test_a_row_shows_all_of_a_movement(client, base, psql, books, rows):
    await psql.execute("UPDATE users SET time_zone = 'Asia/Tokyo' WHERE id = $1", books.user_id)
    await psql.execute(
        "UPDATE transactions SET note = 'lunch <b>', fiat_value = 1234.5, fiat_currency = 'EUR'"
        " WHERE ledger_id = $1 AND id = $2",
        books.ledger_id,
        rows.ids[2],
    )
    text = await read(client, base)
    assert row_ids(text) == rows.ids[::-1]
    first = text[text.index(f'id="row-{rows.ids[2]}"') : text.index(f'id="row-{rows.ids[1]}"')]
    assert ">2024-03-03 <span" in first
    assert "21:00</span>" in first  # noon in UTC
    assert "Asia/Tokyo" in text
    assert "0x52908400098527886E0F7030069857D2E4169EE7" in first  # with its checksum, whole
    assert "lunch &lt;b&gt;" in first
    assert "1,234.5 EUR" in first


async def test_filters_stand_in_the_address_and_as_chips(client, base, rows):
    text = await read(client, f"{base}?type=send&not.asset=BTC")
    assert row_ids(text) == [rows.ids[1]]
    assert f'href="{base}?not.asset=BTC" aria-label="Remove filter type send"' in text
    assert f'href="{base}?type=send" aria-label="Remove filter not asset BTC"' in text
    assert 'name="type" value="send" checked' in text
    assert 'name="not.asset" value="BTC" aria-label="Not BTC" checked' in text


async def test_what_nothing_matches_offers_to_clear(client, base, rows):
    assert rows.ids
    text = await read(client, f"{base}?q=nowhere")
    assert "Nothing matches" in text
    assert "Clear the filters" in text


@pytest.mark.parametrize(
    ("query", "value", "sentence"),
    [
        ("min_amount=abc&type=send", 'value="abc"', "&#39;abc&#39; is not a number"),
        ("from=2024-13-01", 'value="2024-13-01"', "is not a date"),
        ("counterparty=%20a%20b", 'value=" a b"', "is not an address"),
        ("sort=sideways", "", "Must be one of"),
        ("cursor=rubbish", "", "Not a place in this list"),
        ("limit=7", "", "Must be a number from 25 to 500"),
        ("nonsense=1", "", "is not a parameter"),
    ],
)
async def test_a_wrong_filter_keeps_its_values_beside_the_sentence(
    client, base, rows, query, value, sentence
):
    assert rows.ids
    text = await read(client, f"{base}?{query}", status=422)
    assert value in text
    assert sentence in text
    if "type=send" in query:
        assert 'name="type" value="send" checked' in text


async def test_pages_go_on_back_first_and_last_and_to_a_date(client, base, psql, books):
    rows = await make_rows(psql, books, 60)
    newest = await read(client, f"{base}?limit=25")
    assert row_ids(newest) == rows.ids[:-26:-1]
    following = re.search(r'href="([^"]+)" rel="next"', newest)[1].replace("&amp;", "&")
    second = await read(client, following)
    assert row_ids(second) == rows.ids[-26:-51:-1]
    back = re.search(r'href="([^"]+)" rel="prev"', second)[1].replace("&amp;", "&")
    assert row_ids(await read(client, back)) == row_ids(newest)
    last = re.search(r'href="([^"]+)" aria-label="Last page"', newest)[1].replace("&amp;", "&")
    assert row_ids(await read(client, last)) == rows.ids[24::-1]
    jumped = await read(client, f"{base}?limit=25&at=2024-03-10")
    assert row_ids(jumped)[0] == rows.ids[9]
    assert "No more transactions here" in await read(client, f"{base}?at=2020-01-01")


async def test_movements_of_one_transaction_stand_together(client, base, psql, books, rows):
    same = {"txid": f"0x{1:064x}", "group_key": f"0x{1:064x}"}
    late = {
        "occurred_at": (
            await psql.fetchval(
                "SELECT occurred_at FROM transactions WHERE ledger_id = $1 AND id = $2",
                books.ledger_id,
                rows.ids[1],
            )
        )
    }
    between = await make_row(psql, books, rows.wallet, 50, **late)
    fee = await make_row(psql, books, rows.wallet, 51, type="fee", **late, **same)
    text = await read(client, base)
    assert row_ids(text) == [rows.ids[2], fee, rows.ids[1], between, rows.ids[0]]
    assert re.findall(r'data-group="(\w+)"', text) == ["start", "end"]


async def test_htmx_gets_the_block_alone(client, base, rows):
    text = await read(client, base, headers=HTMX)
    assert row_ids(text) == rows.ids[::-1]
    assert "<html" not in text
    assert 'id="page"' not in text


async def test_sums_come_from_their_own_address(client, base, rows):
    assert rows.ids
    text = await read(client, base)
    address = re.search(r'hx-get="([^"]+/totals[^"]+)"', text)[1].replace("&amp;", "&")
    sums = await read(client, address, headers=HTMX)
    assert "3 transactions" in sums
    assert "<html" not in sums


async def test_newer_sums_are_not_shown_beside_older_rows(client, base, psql, books, rows):
    text = await read(client, base)
    address = re.search(r'hx-get="([^"]+/totals[^"]+)"', text)[1].replace("&amp;", "&")
    await make_row(psql, books, rows.wallet, 7)
    late = await client.get(address, headers=HTMX)
    assert late.status_code == 204
    assert late.headers["HX-Trigger"] == "freshledger:behind"
    again = await read(client, f"{base}?totals=1", headers=HTMX)  # what the event asks for
    assert len(row_ids(again)) == 4
    assert "4 transactions" in again
    assert "/totals" not in again


async def test_viewers_and_archived_ledgers_have_no_edit_controls(app, psql, books):
    looker = await make_books(psql, role="viewer")
    await make_rows(psql, looker)
    text = await read(signed_in(app, looker), f"{looker.path}/transactions")
    assert not re.search(
        r"data-edit=\"(label|note|contact)\"|bulk-form|imports/new|data-select>", text
    )
    client, base = signed_in(app, books), f"{books.path}/transactions"
    rows = await make_rows(psql, books)
    await psql.execute("UPDATE ledgers SET archived_at = now() WHERE id = $1", books.ledger_id)
    text = await read(client, base)
    assert "This ledger is archived" in text
    assert not re.search(
        r"data-edit=\"(label|note|contact)\"|bulk-form|imports/new|data-select>", text
    )
    shown = await read(client, f"{base}/{rows.ids[0]}")
    assert "edit-form" not in shown
    assert ANN[:4] in shown


async def test_every_kind_of_link_keeps_the_filter(client, base, psql, books):
    await make_rows(psql, books, 60)
    text = await read(client, f"{base}?asset=ETH&limit=25&sort=time")
    for pattern in (r'rel="next"', r'class="sort"'):
        links = [link for link in re.findall(r"<a [^>]+>", text) if re.search(pattern, link)]
        assert links
        assert all("asset=ETH" in link and "limit=25" in link for link in links)


async def test_hostile_text_is_only_text(client, base, psql, books, rows):
    evil = "<script>alert(1)</script>"
    await psql.execute(
        "UPDATE transactions SET asset = $3, note = $3 WHERE ledger_id = $1 AND id = $2",
        books.ledger_id,
        rows.ids[0],
        evil,
    )
    await psql.execute("UPDATE wallets SET name = $2 WHERE ledger_id = $1", books.ledger_id, evil)
    for path in (base, f"{base}/{rows.ids[0]}", f"{base}/new", f"{base}?q=%3Cscript%3E"):
        text = await read(client, path)
        assert "<script>" not in text
        assert "alert(1)" in text or "%3Cscript" in path
