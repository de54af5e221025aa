"""The benchmark's own check: what answers with wrong rows is not measured."""

import json
from decimal import Decimal

import click
import pytest

from benchmarks.answers import Shown, compare, read_truth, rows_of_json, rows_of_page
from benchmarks.rows import USUAL_ASSET
from movements import make_row, make_rows

ROW = {
    "id": 7, "amount": "1.5000", "wallet": "Main", "contact": None, "labels": [{"name": "rent"}],
}  # fmt: skip
SHOWN = Shown(7, "1.5", "Main", None, ["rent"])
PAGE = """
<span class="label__name">of the filter form</span><table><tbody>
<tr id="row-7"><td><input type="checkbox"></td><td class="m-wallet"><bdi>Main</bdi></td>
<td class="num m-amount"><span>+</span><span>1</span>,<span>{}</span></td>
<td><a class="address__contact" href="/contacts/1">Ann &amp; Co</a></td>
<td><span class="label__name">rent</span><span class="label__name">home</span></td></tr>
</tbody></table><span class="label__name">of a dialog</span>
""".replace(",", "")


def answer(**changes):
    return json.dumps({"version": 1, "rows": [ROW | changes]}).encode()


def test_the_same_rows_pass():
    compare("Peer", rows_of_json(answer()), [SHOWN])


@pytest.mark.parametrize(
    "changes",
    [
        {"id": 8},
        {"amount": "1.50000001"},
        {"amount": 1.5},
        {"amount": "many"},
        {"wallet": "Other"},
        {"contact": "Ann"},
        {"labels": []},
        {"labels": [{"name": "rent"}, {"name": "home"}]},
    ],
)
def test_a_row_that_differs_is_refused(changes):
    with pytest.raises(click.ClickException, match="Peer: row 1 is"):
        compare("Peer", rows_of_json(answer(**changes)), [SHOWN])


@pytest.mark.parametrize("found", [[], [SHOWN, SHOWN]])
def test_another_number_of_rows_is_refused(found):
    with pytest.raises(click.ClickException, match=f"{len(found)} rows, not 1"):
        compare("Peer", found, [SHOWN])


def test_a_page_is_read_within_its_rows():
    (row,) = rows_of_page(PAGE.format(".50").encode())
    assert row == Shown(7, "1.5", "Main", "Ann & Co", ["rent", "home"])


def test_a_page_whose_amount_is_cut_off_is_told():
    (row,) = rows_of_page(PAGE.format("…").encode())
    assert "no number" in row.amount


@pytest.fixture
async def truth(psql, books, database_url):
    wallet = (await make_rows(psql, books, count=0)).wallet
    label = await psql.fetchval(
        "INSERT INTO labels (ledger_id, name) VALUES ($1, 'rent') RETURNING id", books.ledger_id
    )
    for number, asset in enumerate((USUAL_ASSET, "ETH", USUAL_ASSET)):
        row = await make_row(
            psql, books, wallet, number, asset=asset, amount=Decimal(f"-1234{number}.50")
        )
        await psql.execute(
            "INSERT INTO transaction_labels (ledger_id, transaction_id, label_id, occurred_at)"
            " SELECT ledger_id, id, $1, occurred_at FROM transactions WHERE id = $2",
            label,
            row,
        )
    return await read_truth(database_url, books.ledger_id, USUAL_ASSET, 50)


@pytest.mark.parametrize(
    ("path", "read"), [("/api/v1", rows_of_json), ("", rows_of_page)], ids=["json", "page"]
)
async def test_who_forgets_the_filter_is_caught(truth, client, books, path, read):
    address = f"{path}/ledgers/{books.ledger_id}/transactions"
    right = await (await client.get(f"{address}?asset={USUAL_ASSET}")).get_data()
    assert len(truth) == 2
    compare("freshledger", read(right), truth)
    wrong = await (await client.get(address)).get_data()
    with pytest.raises(click.ClickException, match="row 2 is"):
        compare("freshledger", read(wrong), truth)
