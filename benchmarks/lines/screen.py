"""From a commit in psql until an open page in Chromium shows it.

From the version's own time in the database to the first frame that is painted with it; browser,
server and PostgreSQL share the machine and its clock. The page holds the 50 newest movements,
and its sums come with it where they are made quickly.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import median, quantiles

import asyncpg
import click
from playwright.async_api import Page, async_playwright

from benchmarks.bench import Bench
from benchmarks.data import Books
from benchmarks.lines.pages_follow import HEAD, UPDATE
from benchmarks.measures import Measure
from benchmarks.serving import freshledger

LINES = ("13",)

FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
WARMING, PAUSE, PATIENCE = 3, 0.25, 30
"""Commits before the first that counts; seconds between two of them, and until one must show."""

AT = "SELECT at FROM revisions WHERE ledger_id = $1 ORDER BY version DESC LIMIT 1"
WATCH = """(note) => {
  window.painted = new Promise((done) => {
    const look = () => {
      if (document.querySelector("#transactions tbody .note")?.textContent !== note) return;
      observer.disconnect();
      const now = () => done(performance.timeOrigin + performance.now());
      requestAnimationFrame(() => setTimeout(now));
    };
    const observer = new MutationObserver(look);
    observer.observe(document.body, { subtree: true, childList: true, characterData: true });
  });
}"""
"""Waits for a note in the list's first row, and for the frame that is painted with it."""


async def measure(bench: Bench) -> list[Measure]:
    """Measure so many commits in each round; nothing where there is no browser."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        bench.say(
            "line 13 is left out: chromium is not installed; on Debian: apt-get install chromium"
        )
        return []
    books = await bench.books(bench.size.least_rows)
    psql = await asyncpg.connect(books.url)
    try:
        async with _opened(chromium, books) as page:
            for _ in range(WARMING):
                await _commit(page, psql, books)
            rounds = []
            for number in range(bench.size.rounds):
                bench.say(f"commits to the screen: round {number + 1} of {bench.size.rounds}")
                rounds.append([await _commit(page, psql, books) for _ in range(bench.size.commits)])
    finally:
        await psql.close()
    half = tuple(map(median, rounds))
    most = tuple(quantiles(times, n=10)[-1] for times in rounds)
    what = "commit in psql → painted in Chromium"
    return [
        Measure("13", f"{what}, half within", "ms", half, at_most=50),
        Measure("13", f"{what}, 9 of 10 within", "ms", most),
    ]


@asynccontextmanager
async def _opened(chromium: str, books: Books) -> AsyncIterator[Page]:
    """Open the list, and wait until it follows its ledger."""
    async with freshledger(books.url) as server, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        context = await browser.new_context(viewport={"width": 1440, "height": 900})
        session = {"name": "freshledger", "value": books.session, "url": server.address}
        await context.add_cookies([session])
        page = await context.new_page()
        await page.goto(f"{server.address}/ledgers/{books.ledger_id}/transactions")
        await page.wait_for_selector("#live[data-state=live]", state="attached")
        yield page
        await browser.close()


async def _commit(page: Page, psql: asyncpg.Connection, books: Books) -> float:
    """Change the newest row; return the milliseconds until its page is painted.

    Raises ClickException where the page never shows it.
    """
    await asyncio.sleep(PAUSE)
    note = f"on screen at {1 + await psql.fetchval(HEAD, books.ledger_id)}"
    await page.evaluate(WATCH, note)
    await psql.execute(UPDATE, books.ledger_id, note)
    try:
        async with asyncio.timeout(PATIENCE):
            painted = await page.evaluate("window.painted")
    except TimeoutError:
        raise click.ClickException(f"the open page does not show “{note}”") from None
    committed = await psql.fetchval(AT, books.ledger_id)
    return float(painted - committed.timestamp() * 1000)
