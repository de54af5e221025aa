"""What people do who are not sure: click twice, reload, go back, work in two tabs."""

from contextlib import asynccontextmanager

import asyncpg
import pytest
from playwright.async_api import Page, expect

from books import Books
from movements import make_rows


@pytest.fixture
async def wallet(psql, books):
    return (await make_rows(psql, books, count=0)).wallet


@pytest.fixture
async def plain_page(browser, site, books) -> Page:
    """A tab of a browser without scripts."""
    context = await browser.new_context(base_url=site.address, java_script_enabled=False)
    context.set_default_timeout(15_000)
    cookie = {"name": "freshledger", "value": books.session_token, "url": site.address}
    await context.add_cookies([cookie])
    yield await context.new_page()
    await context.close()


async def fill(page: Page, books: Books, amount: str = "1") -> None:
    await page.goto(f"{books.path}/transactions/new")
    await page.get_by_label("Time", exact=True).fill("2026-01-02T03:04:05")
    await page.get_by_label("Amount").fill(amount)
    await page.get_by_label("Asset").fill("BTC")


async def amounts(psql: asyncpg.Connection, books: Books) -> list[str]:
    rows = await psql.fetch(
        "SELECT trim_scale(amount)::text AS amount FROM transactions WHERE ledger_id = $1 ORDER BY 1",
        books.ledger_id,
    )
    return [row["amount"] for row in rows]


def add(page: Page):
    return page.get_by_role("button", name="Add", exact=True)


@asynccontextmanager
async def slow(site):
    """A server on which nothing can be added as long as this lasts."""
    connection = await asyncpg.connect(site.database)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE transactions IN SHARE MODE")
            yield
    finally:
        await connection.close()


async def double_click(page: Page, site, psql, books) -> None:
    await fill(page, books)
    await add(page).scroll_into_view_if_needed()
    box = await add(page).bounding_box()
    place = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    async with slow(site):
        async with page.expect_request(lambda request: request.method == "POST"):
            await page.mouse.click(*place)
        await page.mouse.click(*place)
        await page.wait_for_timeout(300)  # a request that must not come has no event
    await expect(page.get_by_text("Added", exact=False).first).to_be_visible()
    assert await amounts(psql, books) == ["1"]


@pytest.mark.usefixtures("wallet")
async def test_a_double_click_on_a_slow_server_makes_one(own_page, site, psql, books):
    await double_click(own_page, site, psql, books)


@pytest.mark.usefixtures("wallet")
async def test_also_without_scripts(plain_page, site, psql, books):
    sent = []
    plain_page.on("request", lambda request: request.method == "POST" and sent.append(request))
    await double_click(plain_page, site, psql, books)
    assert len(sent) == 2, "nothing was sent twice: this shows nothing"


async def lose_the_answer(page: Page) -> None:
    """Send the form; the server has done it, but its answer does not come."""

    async def lose(route):
        await route.fetch(max_redirects=0)
        await route.abort("connectionreset")

    await page.route("**/transactions", lose, times=1)
    async with page.expect_event("load"):  # of the error page: earlier, its frame is not active yet
        await add(page).click(no_wait_after=True)
    assert page.url.startswith("chrome-error:")


@pytest.mark.usefixtures("wallet")
async def test_an_answer_that_is_lost_and_the_page_reloaded(own_page, psql, books):
    await fill(own_page, books)
    await lose_the_answer(own_page)
    assert await amounts(psql, books) == ["1"]
    await own_page.reload()
    await expect(own_page.get_by_text("Added", exact=False).first).to_be_visible()
    assert await amounts(psql, books) == ["1"]


@pytest.mark.usefixtures("wallet")
@pytest.mark.parametrize(
    ("amount", "there", "forgetful"),
    [("1", ["1"], False), ("2", ["1", "2"], False), ("1", ["1", "1"], True)],
)
async def test_going_back_and_sending_again(own_page, psql, books, amount, there, forgetful):
    """The same form is the same edit, another text another one.

    A page that forgets what was sent shows that it is this memory that makes it one.
    """
    await fill(own_page, books)
    await lose_the_answer(own_page)
    if forgetful:
        await own_page.add_init_script("sessionStorage.clear()")
    await own_page.go_back()
    await own_page.get_by_label("Time", exact=True).fill("2026-01-02T03:04:05")
    await own_page.get_by_label("Amount").fill(amount)
    await own_page.get_by_label("Asset").fill("BTC")
    await add(own_page).click()
    await expect(own_page.get_by_text("Added", exact=False).first).to_be_visible()
    assert await amounts(psql, books) == there


@pytest.mark.usefixtures("wallet")
async def test_the_same_again_after_an_answer_is_another_one(own_page, psql, books):
    for _ in range(2):
        await fill(own_page, books)
        await add(own_page).click()
        await expect(own_page.get_by_text("Added", exact=False).first).to_be_visible()
    assert await amounts(psql, books) == ["1", "1"]


@pytest.mark.usefixtures("wallet")
async def test_two_tabs_with_different_edits(own_page, context, psql, books):
    other = await context.new_page()
    await fill(own_page, books, "1")
    await fill(other, books, "2")
    for page in (own_page, other):
        await add(page).click()
        await expect(page.get_by_text("Added", exact=False).first).to_be_visible()
    assert await amounts(psql, books) == ["1", "2"]


async def test_editors_made_from_one_template(own_page, psql, books):
    """Each edit of a row is one, in whatever order; the page is never left."""
    ids = (await make_rows(psql, books, count=3)).ids
    await own_page.goto(f"{books.path}/transactions")
    for row_id in [*ids, ids[0]]:
        row = own_page.locator(f"tr[data-row='{row_id}']")
        await row.hover()
        await row.locator("a[data-edit=label]").click()
        await own_page.keyboard.type("Tax")
        await own_page.keyboard.press("Enter")
        await expect(row.locator(".label__name")).to_have_text("Tax")
        await expect(own_page.locator("[data-editor]")).to_have_count(0)
    found = await psql.fetchval(
        "SELECT count(*) FROM transaction_labels WHERE ledger_id = $1", books.ledger_id
    )
    assert found == 3
