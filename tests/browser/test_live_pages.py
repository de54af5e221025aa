"""Every page of a ledger follows it."""

import re

import pytest
from playwright.async_api import expect

from browser.live import opened

NO_PAGES = {"/live", "/contacts/options", "/contacts/export", "/labels/options"}
NO_PAGES |= {"/transactions/totals", "/exports/<>/file"}

PAGES = (
    "",
    "/members",
    "/tokens",
    "/transactions",
    "/transactions?type=send&limit=25",
    "/transactions?q=nothing",
    "/transactions?min_amount=wrong",
    "/transactions/new",
    "/transactions/bulk?every=1&do=label&text=One",
    "/transactions/{row}",
    "/contacts",
    "/contacts/import",
    "/contacts/{contact}",
    "/labels",
    "/labels/{label}",
    "/wallets",
    "/wallets/{wallet}",
    "/imports",
    "/imports/new",
    "/imports/{import_}",
    "/exports/new?type=send",
    "/exports/{export}",
    "/history",
    "/history/{version}",
    "/history/{version}/undo",
    "/transactions/{row}/history",
)


@pytest.fixture
async def ids(psql, books, rows):
    """What a ledger has, by the names in PAGES."""
    one = "INSERT INTO {} (ledger_id, name) VALUES ($1, 'One') RETURNING id"
    import_ = await psql.fetchval(
        "INSERT INTO imports (ledger_id, wallet_id, status) VALUES ($1, $2, 'cancelled')"
        " RETURNING id",
        books.ledger_id,
        rows.wallet,
    )
    export = await psql.fetchval(
        "INSERT INTO exports (ledger_id, user_id, format, query, status)"
        " VALUES ($1, $2, 'csv', '', 'cancelled') RETURNING id",
        books.ledger_id,
        books.user_id,
    )
    return {
        "import_": import_,
        "export": export,
        "row": rows.ids[39],
        "wallet": rows.wallet,
        "version": await psql.fetchval(
            "SELECT version FROM heads WHERE ledger_id = $1", books.ledger_id
        ),
        "label": await psql.fetchval(one.format("labels"), books.ledger_id),
        "contact": await psql.fetchval(one.format("contacts"), books.ledger_id),
    }


def test_no_page_of_a_ledger_is_forgotten(app):
    begin = "/ledgers/<int:ledger_id>"
    rules = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith(begin)]
    reading = {rule.rule.removeprefix(begin) for rule in rules if "GET" in rule.methods}
    wanted = {re.sub(r"<[^>]*>", "<>", path) for path in reading} - NO_PAGES
    assert {re.sub(r"\{\w+\}", "<>", page.partition("?")[0]) for page in PAGES} == wanted


async def test_every_page_of_a_ledger_follows_it(own_page, psql, books, ids):
    for number, page in enumerate(PAGES):
        await opened(own_page, books.path + page.format(**ids))
        heading = await own_page.locator("main h1, main h2").first.inner_text()
        name = f"Ledger {number}"
        await psql.execute("UPDATE ledgers SET name = $2 WHERE id = $1", books.ledger_id, name)
        await expect(own_page.locator(".switcher__name")).to_have_text(name)
        version = await psql.fetchval(
            "SELECT version FROM heads WHERE ledger_id = $1", books.ledger_id
        )
        await expect(own_page.locator(".live__version")).to_have_text(str(version))
        if page:
            assert await own_page.locator("main h1, main h2").first.inner_text() == heading
        assert await own_page.evaluate("window.unbroken"), page
        assert await own_page.locator("#frame #frame").count() == 0


@pytest.mark.parametrize("page", ["/ledgers", "/settings", "/people"])
async def test_pages_outside_of_a_ledger_follow_the_account(own_page, psql, books, page):
    await psql.execute("UPDATE users SET is_admin = true WHERE id = $1", books.user_id)
    await opened(own_page, page)
    await psql.execute("UPDATE users SET name = 'Zoe Example' WHERE id = $1", books.user_id)
    await expect(own_page.get_by_label("You: Zoe Example")).to_be_visible()
    await psql.execute("UPDATE users SET name = 'Ann Again' WHERE id = $1", books.user_id)
    await expect(own_page.get_by_label("You: Ann Again")).to_be_visible()
    assert await own_page.evaluate("window.unbroken")


async def test_the_list_of_ledgers_follows_all_of_them(own_page, psql, books):
    await opened(own_page, "/ledgers")
    await psql.execute("UPDATE ledgers SET name = 'Renamed' WHERE id = $1", books.ledger_id)
    await expect(own_page.locator(f"#ledger-{books.ledger_id}")).to_contain_text("Renamed")
    await expect(own_page.locator(f"#ledger-{books.ledger_id}")).to_have_attribute(
        "data-fresh", "changed"
    )


async def test_pages_of_strangers_follow_nothing(context):
    page = await context.new_page()
    await page.goto("/login")
    await expect(page.locator("#live")).to_have_count(0)


async def test_without_scripts_there_is_no_indicator(browser, site, books):
    context = await browser.new_context(base_url=site.address, java_script_enabled=False)
    cookie = {"name": "freshledger", "value": books.session_token, "url": site.address}
    await context.add_cookies([cookie])
    page = await context.new_page()
    await page.goto(f"{books.path}/labels")
    await expect(page.locator("#live")).to_be_hidden()
    await expect(page.locator("#livebar")).to_be_hidden()
    await context.close()
