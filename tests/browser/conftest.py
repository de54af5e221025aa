"""A real server, and Chromium in front of it: no page may log an error or break its policy."""

import re
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    async_playwright,
    expect,
)

from books import Books, make_books
from browser.live import opened
from cli.conftest import serving
from databases import cloned
from freshledger.embedded import EmbeddedServer
from movements import Rows, make_rows

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
SECONDS = 15
expect.set_options(timeout=SECONDS * 1000)


@dataclass(frozen=True)
class Site:
    """A server that is running: its address, the link it printed, and its database."""

    address: str
    link: str
    database: str


@contextmanager
def running(database: str, folder: Path) -> Iterator[Site]:
    """Run `freshledger serve` on a database."""
    with serving("--data-dir", folder, url=database) as (process, address):
        yield Site(address, process.stdout.readline().split()[-1], database)


@pytest.fixture(scope="session")
async def site(
    server: EmbeddedServer, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Site]:
    """A server that all tests share, each with a user and a ledger of its own."""
    async with cloned(server, template) as database:
        with running(database, tmp_path_factory.mktemp("site")) as site:
            yield site


@pytest.fixture
def fresh_site(own_database: str, tmp_path: Path) -> Iterator[Site]:
    """A server that nobody has set up."""
    with running(own_database, tmp_path) as site:
        yield site


@pytest.fixture
async def psql(site: Site) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the site's database that the site knows nothing of."""
    connection = await asyncpg.connect(site.database)
    yield connection
    await connection.close()


@pytest.fixture
async def books(psql: asyncpg.Connection) -> Books:
    """A user of the site with a ledger."""
    return await make_books(psql)


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Chromium; where it is missing the test is skipped, and says so."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed: the browser tests were not run")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS])
        yield browser
        await browser.close()


@asynccontextmanager
async def window(browser: Browser, site: Site) -> AsyncIterator[BrowserContext]:
    """A window whose pages log neither errors nor warnings; the test fails if one does."""
    size = {"width": 1440, "height": 900}
    context = await browser.new_context(base_url=site.address, viewport=size)
    context.set_default_timeout(SECONDS * 1000)
    said: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        refused = re.search(r"status of (4[12]2|503) ", message.text)  # the page tells why
        if message.type in {"error", "warning"} and not refused:
            said.append(message.text)

    context.on("console", hear)
    context.on("weberror", lambda error: said.append(str(error.error)))
    yield context
    for page in context.pages:  # an answer that a test held back may still be on its way
        await page.unroute_all(behavior="ignoreErrors")
    await context.close()
    assert said == []


@pytest.fixture
async def context(browser: Browser, site: Site) -> AsyncIterator[BrowserContext]:
    """A window of the shared server."""
    async with window(browser, site) as context:
        yield context


@pytest.fixture
async def own_page(context: BrowserContext, site: Site, books: Books) -> Page:
    """A tab in which the user of `books` is signed in."""
    cookie = {"name": "freshledger", "value": books.session_token, "url": site.address}
    await context.add_cookies([cookie])
    return await context.new_page()


@pytest.fixture
async def rows(psql: asyncpg.Connection, books: Books) -> Rows:
    """Forty movements."""
    return await make_rows(psql, books, 40)


@pytest.fixture
async def listed(own_page: Page, books: Books, rows: Rows) -> Page:
    """The list of the movements, live."""
    await opened(own_page, f"{books.path}/transactions")
    await expect(own_page.locator(".summary__count")).to_have_text(f"{len(rows.ids)} transactions")
    return own_page


@pytest.fixture
async def keeping(site: Site) -> AsyncIterator[BrowserContext]:
    """A browser that keeps the pages it leaves, also those that must not be stored."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[*FLAGS, "--enable-features=BackForwardCache"],
            ignore_default_args=["--disable-back-forward-cache"],
        )
        async with window(browser, site) as context:
            yield context
        await browser.close()
