"""The tests of live pages can fail: each fault in a script breaks the test that stands for it."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.async_api import expect

from browser import test_live, test_live_away, test_live_work
from browser.conftest import SECONDS
from browser.live import LIVE

FAULTS = {
    "not checked when shown": (
        "live.js",
        "(document.hidden ? go() : come())",
        "(document.hidden && go())",
        test_live_away.test_a_hidden_page_has_no_stream_and_catches_up_when_shown,
    ),
    "used before it is checked": (
        "live.js",
        "main.inert = true;",
        "",
        test_live_away.test_it_is_not_used_before_it_is_known_to_be_up_to_date,
    ),
    "an old answer taken for the present": (
        "follow.js",
        "now.shown = given;",
        "now.shown = now.wanted;",
        test_live.test_an_answer_that_is_too_old_is_asked_for_again,
    ),
    "a part's age overlooked": (
        "follow.js",
        "if (part < now.shown) now.shown = part;",
        "",
        test_live.test_a_part_that_htmx_fetched_too_old_is_fetched_again,
    ),
    "an answer for another address merged": (
        "follow.js",
        "if (swaps !== now.swaps)",
        "if (false)",
        test_live.test_an_answer_for_the_address_before_is_thrown_away,
    ),
    "fetches that overlap": (
        "follow.js",
        "running ??= run()",
        "running = run()",
        test_live.test_fetches_never_overlap,
    ),
    "a busy server asked at once": (
        "follow.js",
        "if (!error.after) throw error;",
        "throw error;",
        test_live.test_a_busy_server_is_asked_again_when_it_says,
    ),
    "typed text overwritten": (
        "merge.js",
        "if (kept || [...held].some((control) => node.contains(control) && isText(control)))",
        "if (false)",
        test_live_work.test_what_is_typed_in_a_row_stays_with_its_caret,
    ),
    "rows pushed in": (
        "follow.js",
        'url.searchParams.set("cursor", list().dataset.anchor);',
        "{}",
        test_live_work.test_deep_in_the_list_new_rows_are_announced,
    ),
    "a form's answer overwritten": (
        "follow.js",
        'if (detail.target.id === "page") now.held =',
        "now.other =",
        test_live_away.test_the_question_before_a_bulk_edit_is_not_overwritten,
    ),
}


@contextmanager
def seen() -> Iterator[None]:
    """What the test waits for does not come: so it is not waited for as long as usual."""
    expect.set_options(timeout=5_000)
    try:
        with pytest.raises(AssertionError):
            yield
    finally:
        expect.set_options(timeout=SECONDS * 1000)


async def break_script(page, name, sound, broken):
    """Serve a script with a fault."""

    async def serve(route):
        answer = await route.fetch()
        text = await answer.text()
        assert text.count(sound) == 1, f"{name} no longer has {sound}"
        await route.fulfill(response=answer, body=text.replace(sound, broken))

    await page.route(f"**/js/{name}*", serve)


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_is_seen(listed, psql, books, rows, fault):
    name, sound, broken, test = FAULTS[fault]
    await break_script(listed, name, sound, broken)
    await listed.reload()
    await expect(listed.locator(LIVE)).to_be_attached()
    await listed.evaluate("window.unbroken = true")
    with seen():
        await test(listed, psql, books, rows)


async def test_a_kept_page_that_is_not_checked_is_seen(keeping, site, psql, books):
    async def broken(page):
        await break_script(page, "live.js", "if (!source && !isAway()) check();", "")

    with seen():
        await test_live_away.leave_and_come_back(keeping, site, psql, books, before=broken)


async def test_a_form_with_the_version_of_others_is_seen(own_page, psql, books, rows):
    await break_script(own_page, "merge.js", "&& forms.has(node.form)", "&& false")
    with seen():
        await test_live_work.test_a_form_keeps_its_text_and_the_version_it_was_typed_for(
            own_page, psql, books, rows
        )
