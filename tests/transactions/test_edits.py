"""Edits from the page: each is one version of the ledger, and none is lost silently."""

import re
from urllib.parse import urlencode

import pytest

from freshledger.text import clean_text
from movements import ANN, make_rows


@pytest.fixture
def base(books):
    return f"{books.path}/transactions"


@pytest.fixture
async def rows(psql, books):
    return await make_rows(psql, books)


@pytest.fixture
def post(client, csrf):
    async def send(path, status=303, /, **form):
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = await client.post(path, data=urlencode(form, doseq=True), headers=csrf | kind)
        text = await answer.get_data(as_text=True)
        assert answer.status_code == status, text[:3000]
        return answer.location if status == 303 else text

    return send


@pytest.fixture
def column(psql, books):
    async def read(identifier, name):
        return await psql.fetchval(
            f"SELECT {name} FROM transactions WHERE ledger_id = $1 AND id = $2",
            books.ledger_id,
            identifier,
        )

    return read


@pytest.fixture
def labelled(psql, books):
    async def read(name):
        found = await psql.fetch(
            "SELECT transaction_id FROM transaction_labels JOIN labels USING (ledger_id)"
            " WHERE labels.id = label_id AND ledger_id = $1 AND name = $2 ORDER BY 1",
            books.ledger_id,
            name,
        )
        return [row[0] for row in found]

    return read


async def test_a_row_is_labelled_and_unlabelled_and_the_place_kept(
    post, base, rows, labelled, psql, books
):
    back = "type=send&limit=25"
    assert await post(f"{base}/{rows.ids[1]}/labels", label="Tax", back=back) == f"{base}?{back}"
    assert await labelled("Tax") == [rows.ids[1]]
    label = await psql.fetchval("SELECT id FROM labels WHERE ledger_id = $1", books.ledger_id)
    await post(f"{base}/{rows.ids[1]}/labels/{label}/delete", back="")
    assert await labelled("Tax") == []


async def test_a_way_back_leads_only_to_the_list(post, base, rows):
    location = await post(
        f"{base}/{rows.ids[1]}/labels", label="Tax", back="https://evil.example/\r\nX: y"
    )
    assert location == base


async def test_a_group_is_labelled_at_once(post, base, rows, labelled, psql, books):
    await psql.execute(
        "UPDATE transactions SET group_key = 'one' WHERE ledger_id = $1", books.ledger_id
    )
    await post(f"{base}/{rows.ids[1]}/labels", label="Trade", group="1", back="")
    assert await labelled("Trade") == rows.ids


async def test_a_note_that_came_too_late_shows_both(post, base, rows, column):
    one = rows.ids[0]
    await post(f"{base}/{one}/note", note="mine", version="1", back="")
    text = await post(f"{base}/{one}/note", 412, note="yours", version="1", back="")
    assert "mine" in text
    assert "yours" in text
    assert await column(one, "note") == "mine"
    await post(f"{base}/{one}/note", note="yours", version="2", back="")
    assert await column(one, "note") == "yours"


async def test_the_same_note_twice_is_no_conflict(post, base, rows, column):
    await post(f"{base}/{rows.ids[0]}/note", note="same", version="1", back="")
    await post(f"{base}/{rows.ids[0]}/note", note="same", version="1", back="")
    assert await column(rows.ids[0], "version") == 2


async def test_a_contact_for_one_row_or_for_its_address(post, base, rows, column, psql, books):
    await post(f"{base}/{rows.ids[0]}/contact", contact="Bob", version="1", back="")
    bob = await psql.fetchval("SELECT id FROM contacts WHERE ledger_id = $1", books.ledger_id)
    assert await column(rows.ids[0], "contact_id") == bob
    await post(f"{base}/{rows.ids[0]}/contact", contact="", version="2", back="")
    assert await column(rows.ids[0], "contact_id") is None
    await post(f"{base}/{rows.ids[0]}/contact", contact="bob", everywhere="1", back="")
    known = await psql.fetchrow(
        "SELECT contact_id, network, address FROM contact_addresses WHERE ledger_id = $1",
        books.ledger_id,
    )
    assert tuple(known) == (bob, "evm", ANN)


async def test_selected_rows(post, base, rows, labelled, column):
    await post(f"{base}/bulk", do="label", label="Both", id=[str(i) for i in rows.ids[:2]], back="")
    assert await labelled("Both") == rows.ids[:2]
    await post(f"{base}/bulk", do="unlabel", label="both", id=str(rows.ids[0]), back="")
    assert await labelled("Both") == rows.ids[1:2]
    await post(f"{base}/bulk", do="note", note="n", id=str(rows.ids[0]), back="")
    assert await column(rows.ids[0], "note") == "n"
    assert "select some" in (await post(f"{base}/bulk", 422, do="label", label="x", back=""))
    assert "which one" in (await post(f"{base}/bulk", 422, do="label", label="", id="1"))


async def test_all_matches_are_asked_about_then_done_exactly(
    post, client, rows, labelled, psql, books
):
    base = f"{books.path}/transactions"
    question = await post(
        f"{base}/bulk", do="label", label="Ins", every="1", where="type=receive", back="limit=25"
    )
    text = await (await client.get(question)).get_data(as_text=True)
    assert "2 transactions" in text
    form = dict(re.findall(r'name="(\w+)" value="([^"]*)"', text))
    assert (form["count"], form["back"]) == ("2", "limit=25")
    assert await labelled("Ins") == []
    await psql.execute(
        "UPDATE transactions SET type = 'receive' WHERE ledger_id = $1", books.ledger_id
    )
    again = await post(f"{base}/bulk", 412, **form)
    assert "there are 3 now" in again
    assert await labelled("Ins") == []
    form = dict(re.findall(r'name="(\w+)" value="([^"]*)"', again))
    assert await post(f"{base}/bulk", **form) == f"{base}?limit=25"
    assert await labelled("Ins") == rows.ids


async def test_correcting_a_movement(post, base, rows, column, psql, books):
    one = rows.ids[0]
    await psql.execute("UPDATE users SET time_zone = 'Asia/Tokyo' WHERE id = $1", books.user_id)
    form = {
        "type": "income",
        "counterparty": "0x52908400098527886E0F7030069857D2E4169EE7",
        "occurred_at": "2024-03-01T21:00",
        "amount": "1.000000000000000001",
        "note": "pay",
        "contact": "",
        "version": "1",
    }
    await post(f"{base}/{one}", **form)
    assert await column(one, "amount::text") == "1.000000000000000001"
    assert await column(one, "hand_edited") == ["amount", "note", "type"]  # what differs, alone
    text = await post(f"{base}/{one}", 422, **form | {"amount": "1e999", "version": "2"})
    assert 'value="1e999"' in text
    assert 'id="amount-error"' in text
    text = await post(f"{base}/{one}", 412, **form | {"note": "other"})
    assert "other" in text
    assert "pay" in text


async def test_a_time_is_kept_to_the_microsecond_where_nobody_touched_it(
    post, client, rows, column, psql, books
):
    base = f"{books.path}/transactions"
    one = rows.ids[0]
    await psql.execute(
        "UPDATE transactions SET occurred_at = '2024-10-27 00:30:00.123456+00'"
        " WHERE ledger_id = $1 AND id = $2",
        books.ledger_id,
        one,
    )
    text = await (await client.get(f"{base}/{one}")).get_data(as_text=True)
    shown = re.search(r'name="occurred_at"[^>]* value="([^"]+)"', text)[1]
    assert shown == "2024-10-27T00:30:00.123"
    await post(f"{base}/{one}", type="send", occurred_at=shown, amount="1", counterparty=ANN,
               note="", contact="", version="2")  # fmt: skip
    assert (await column(one, "occurred_at")).microsecond == 123456
    assert await column(one, "hand_edited") == ["type"]


async def test_a_movement_by_hand(post, client, base, rows, column, labelled):
    form = {
        "wallet_id": str(rows.wallet),
        "type": "send",
        "status": "confirmed",
        "asset": "BTC",
        "amount": "-0.5",
        "occurred_at": "2024-05-01T10:00",
        "chain": "bitcoin",
        "labels": "Gift, Tax",
        "note": "by hand",
    }
    text = await post(base, 422, **form | {"amount": "half"})
    assert 'value="half"' in text
    assert 'id="amount-error"' in text
    location = await post(base, **form)
    made = int(location.rsplit("/", 1)[1])
    assert await column(made, "amount::text") == "-0.5"
    assert await labelled("Gift") == await labelled("Tax") == [made]
    shown = await (await client.get(location)).get_data(as_text=True)
    assert "Added by hand" in shown


async def test_deleting_asks_for_the_version_that_was_seen(post, base, rows, psql, books):
    await post(f"{base}/{rows.ids[0]}/delete", 412, version="9")
    await post(f"{base}/{rows.ids[0]}/delete", version="1")
    left = await psql.fetchval(
        "SELECT count(*) FROM transactions WHERE ledger_id = $1", books.ledger_id
    )
    assert left == 2


async def test_filters_are_saved_by_name_for_one_user(post, client, base, rows):
    assert rows.ids
    await post(f"{base}/saved-filters", name="Sent", where="type=send", back="type=send")
    text = await (await client.get(f"{base}?type=send")).get_data(as_text=True)
    assert re.search(rf'href="{base}\?type=send" aria-current="true"[^>]*><bdi>Sent', text)
    assert "already" in await post(f"{base}/saved-filters", 409, name="SENT", where="type=fee")
    assert "no filter" in await post(f"{base}/saved-filters", 422, name="All", where="")
    number = re.search(r"saved-filters/(\d+)/delete", text)[1]
    await post(f"{base}/saved-filters/{number}/delete", back="")
    assert "deleted" in await (await client.get(base)).get_data(as_text=True)
    assert "Sent" not in await (await client.get(base)).get_data(as_text=True)
    await post(f"{base}/saved-filters/{number}/delete", 404, back="")


async def test_a_script_is_told_a_problem_it_can_read(client, csrf, base, rows):
    answer = await client.post(
        f"{base}/{rows.ids[0]}/labels", form={"label": " "}, headers=csrf | {"HX-Request": "true"}
    )
    assert answer.status_code == 422
    assert answer.content_type == "application/problem+json"


async def test_a_note_is_text_even_where_it_looks_like_a_time(post, base, rows, column):
    one = f"{base}/{rows.ids[0]}/note"
    for version, note in enumerate(("20240101", "2024-01-01"), 1):
        await post(one, note=note, version=version, back="")
        assert await column(rows.ids[0], "note") == note


async def test_a_note_by_hand_is_as_clean_as_an_imported_one(post, base, rows, column):
    written = "cafe\u0301\tx\r\n\u200dy\u202e\x07"
    await post(f"{base}/{rows.ids[0]}/note", note=written, version="1", back="")
    kept = await column(rows.ids[0], "note")
    assert kept == "caf\u00e9 x\ny"
    assert clean_text(kept, lines=True) == kept
