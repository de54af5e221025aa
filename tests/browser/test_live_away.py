"""A page that was hidden, left, or cut off shows the present state before it is used again."""

import asyncio
import re
from contextlib import asynccontextmanager

import asyncpg
from playwright.async_api import expect

from books import make_books
from browser.live import LIVE, opened, set_note
from cli.conftest import serving
from movements import make_rows

HIDE = """state => {
  const hidden = state === "hidden";
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
STREAM = re.compile(r"/live\?")


async def test_a_hidden_page_has_no_stream_and_catches_up_when_shown(listed, psql, books, rows):
    async with listed.expect_event("requestfailed", lambda gone: bool(STREAM.search(gone.url))):
        await listed.evaluate(HIDE, "hidden")
    asked = []
    listed.on("request", lambda request: asked.append(request.url))
    await listed.locator("body").focus()
    await set_note(psql, books, rows.ids[38], "while it was hidden")
    await listed.evaluate(HIDE, "visible")
    await expect(listed.locator(f"#row-{rows.ids[38]} .note")).to_have_text("while it was hidden")
    await expect(listed.locator(LIVE)).to_be_attached()
    assert STREAM.search(asked[0])  # nothing was asked before it was shown
    assert await listed.evaluate("window.unbroken")


def holding(held):
    """Let requests wait, in a list."""

    async def hold(route):
        held.append(route)

    return hold


async def test_it_is_not_used_before_it_is_known_to_be_up_to_date(listed, psql, books, rows):
    """Inert at once, grey after a blink; then all is as it was, also the caret."""
    row = listed.locator(f"#row-{rows.ids[30]}")
    await row.hover()
    await row.locator("a[data-edit=note]").click()
    await listed.keyboard.type("half typed")
    await listed.evaluate(HIDE, "hidden")
    await set_note(psql, books, rows.ids[38], "while it was hidden")
    held = []
    await listed.route(STREAM, holding(held), times=1)
    await listed.evaluate(HIDE, "visible")
    assert await listed.evaluate("document.getElementById('main').inert")
    await expect(listed.locator("main")).to_have_attribute("data-checking", "")
    await held[0].continue_()
    await expect(listed.locator(f"#row-{rows.ids[38]} .note")).to_have_text("while it was hidden")
    await expect(listed.locator(LIVE)).to_be_attached()
    assert not await listed.evaluate("document.getElementById('main').inert")
    await expect(row.locator("textarea")).to_be_focused()
    await listed.keyboard.type(" on")
    await expect(row.locator("textarea")).to_have_value("half typed on")


async def test_what_takes_too_long_says_so_and_lets_the_page_be_used(listed):
    await listed.evaluate(HIDE, "hidden")
    held = []
    await listed.route(STREAM, holding(held), times=1)
    await listed.evaluate(HIDE, "visible")
    await expect(listed.locator("#live")).to_have_attribute("data-state", "offline")
    await expect(listed.locator("#livebar")).to_contain_text(
        re.compile(r"Offline since \d\d:\d\d:\d\d \(UTC\)")
    )
    assert not await listed.evaluate("document.getElementById('main').inert")
    await held[0].continue_()
    await expect(listed.locator(LIVE)).to_be_attached()
    await expect(listed.locator("#livebar")).to_be_hidden()


async def test_going_back_shows_the_present_state(listed, psql, books, rows):
    await listed.locator(f"#row-{rows.ids[38]} [data-row-link]").click()
    await listed.wait_for_url(re.compile(r"/\d+$"))  # until it is loaded: only then it is active
    await set_note(psql, books, rows.ids[38], "after it was left")
    await listed.go_back()
    await expect(listed.locator(f"#row-{rows.ids[38]} .note")).to_have_text("after it was left")


async def test_a_page_that_the_browser_kept_catches_up(keeping, site, psql, books):
    await leave_and_come_back(keeping, site, psql, books)


async def leave_and_come_back(keeping, site, psql, books, before=None):
    """Leave the list and come back to it as it was kept, after it has changed."""
    rows = await make_rows(psql, books, 40)
    await keeping.add_cookies(
        [{"name": "freshledger", "value": books.session_token, "url": site.address}]
    )
    page = await keeping.new_page()
    if before:
        await before(page)

    async def storable(route):
        answer = await route.fetch()
        await route.fulfill(response=answer, headers=answer.headers | {"cache-control": "private"})

    await page.route(lambda url: url.endswith("/transactions"), storable)
    await opened(page, f"{books.path}/transactions")
    await page.evaluate("addEventListener('pageshow', event => (window.kept = event.persisted))")
    await page.goto(f"{books.path}/labels")
    await set_note(psql, books, rows.ids[38], "after it was left")
    await page.evaluate("history.back()")
    await expect(page.locator(f"#row-{rows.ids[38]} .note")).to_have_text("after it was left")
    await expect(page.locator(LIVE)).to_be_attached()
    assert await page.evaluate("[window.kept, window.unbroken]") == [True, True]


@asynccontextmanager
async def alone(browser, address, books):
    """A tab whose console may tell of a server that is away."""
    context = await browser.new_context(base_url=address)
    cookie = {"name": "freshledger", "value": books.session_token, "url": address}
    await context.add_cookies([cookie])
    yield await context.new_page()
    await context.close()


async def test_a_server_that_stops_and_comes_back(browser, own_database, tmp_path):
    psql = await asyncpg.connect(own_database)
    books = await make_books(psql)
    rows = await make_rows(psql, books, 5)
    with serving("--data-dir", tmp_path, url=own_database) as (first, address):
        async with alone(browser, address, books) as page:
            await opened(page, f"{books.path}/transactions")
            first.terminate()
            assert await asyncio.to_thread(first.wait, 30) == 0
            await expect(page.locator("#livebar")).to_contain_text("Offline since")
            await set_note(psql, books, rows.ids[3], "while nobody served")
            port = address.rpartition(":")[2]
            with serving("--data-dir", tmp_path, "--port", port, url=own_database):
                note = page.locator(f"#row-{rows.ids[3]} .note")
                await expect(note).to_have_text("while nobody served", timeout=20_000)
                await expect(page.locator("#livebar")).to_be_hidden()
                assert await page.evaluate("window.unbroken")
    await psql.close()


async def test_who_is_signed_out_is_asked_to_sign_in(browser, site, psql, books):
    async with alone(browser, site.address, books) as page:
        await opened(page, f"{books.path}/labels")
        await psql.execute("DELETE FROM sessions WHERE user_id = $1", books.user_id)
        await expect(page).to_have_url(re.compile(r"/login\?next="))


async def test_what_is_typed_is_not_thrown_away_by_signing_out(browser, site, psql, books):
    async with alone(browser, site.address, books) as page:
        await opened(page, f"{books.path}/labels")
        await page.get_by_label("New label").fill("half typed")
        await psql.execute("DELETE FROM sessions WHERE user_id = $1", books.user_id)
        await expect(page.locator("#livebar")).to_contain_text("You are no longer signed in")
        await expect(page.get_by_label("New label")).to_have_value("half typed")


async def test_the_answer_to_a_form_is_not_overwritten(own_page, psql, books, rows):
    """It stays while its user works on it, and says that the ledger has gone on."""
    await opened(own_page, f"{books.path}/contacts")
    await own_page.get_by_label("Name", exact=True).fill("Ann")
    await own_page.locator("#address").fill("no address")
    await own_page.get_by_role("button", name="Make contact").click()
    await expect(own_page.locator(".field__error")).to_be_visible()
    await expect(own_page.locator(LIVE)).to_be_attached()
    await set_note(psql, books, rows.ids[3], "meanwhile")
    await expect(own_page.locator("#livebar")).to_contain_text("changed meanwhile")
    await expect(own_page.locator(".field__error")).to_be_visible()
    await own_page.get_by_role("link", name="Show the present state").click()
    await expect(own_page.locator(".field__error")).to_have_count(0)
    await expect(own_page.locator("#livebar")).to_be_hidden()


async def test_the_question_before_a_bulk_edit_is_not_overwritten(listed, psql, books, rows):
    await listed.get_by_label("Select all on this page").check()
    await listed.locator("[data-bulk-every]").check()
    await listed.locator("#bulk-label summary").click()
    await listed.locator("#bulk-label input[name=label]").fill("Everything")
    await listed.locator("#bulk-label").get_by_role("button", name="Add").click()
    await expect(listed.locator("#confirm-form")).to_be_visible()
    await psql.execute("UPDATE ledgers SET name = 'Renamed' WHERE id = $1", books.ledger_id)
    await expect(listed.locator("#livebar")).to_contain_text("changed meanwhile")
    await expect(listed.locator("#confirm-form")).to_be_visible()
    await listed.get_by_role("button", name="Yes, change 40 transactions").click()
    await expect(listed.locator("tr .label__name")).to_have_text(["Everything"] * 40)
    await expect(listed.locator("#livebar")).to_be_hidden()
    await set_note(psql, books, rows.ids[3], "followed again")
    await expect(listed.locator(f"#row-{rows.ids[3]} .note")).to_have_text("followed again")
