"""The session hook under the whole application: a real write, its version, and who waits for whom."""

import asyncio

import pytest

from freshledger.app import Freshledger
from freshledger.web.session import MAX_IN_MEMORY
from ledger import Ledger, let_in, look, made, version_of
from scopes import scope
from stepping import Steps, cancel, counting, disconnect, request_leaving


@pytest.fixture
async def program(site: Freshledger, db, ledger: Ledger) -> dict[str, str]:
    """The headers of a program that may write."""
    _, headers = await let_in(db, ledger, scope="write")
    await site.test_client().get(f"/api/v1/ledgers/{ledger.id}/labels", headers=headers)
    await asyncio.gather(*site.background_tasks)  # the token's last use, noted once a minute
    return headers | {"content-type": "application/json"}


@pytest.mark.parametrize("act", [disconnect, cancel(1), cancel(3)])
async def test_leaving_at_every_await_of_a_real_write(
    act, site: Freshledger, db, ledger: Ledger, program: dict[str, str]
):
    """Identification, authorization, the command, COMMIT: whole with its version, or absent."""
    asked = scope("POST", f"/api/v1/ledgers/{ledger.id}/labels", program)
    version, at, reached = await version_of(db, ledger.id), 0, True
    with counting():
        while reached:
            at += 1
            body = b'{"name": "left at %d"}' % at
            went = await request_leaving(site, asked, Steps(at, act), body=body)
            assert (went.held, went.left) == (0, []), f"at await {at}"
            done = await made(db, ledger.id, version)
            assert done in ([], [("labels", "I", 1)]), f"at await {at}"
            assert done or not went.acknowledged, f"at await {at}"
            version += len(done)
            assert await version_of(db, ledger.id) == version
            reached = went.reached
    assert done
    assert at > 15
    assert not (await look(db, ledger.id)).faults


async def test_waiting_for_the_version_is_busy(
    site: Freshledger, db, ledger: Ledger, program: dict[str, str]
):
    """The lock that COMMIT takes can be held by others: 503, and nothing is left."""
    path = f"/api/v1/ledgers/{ledger.id}/labels"
    before = await version_of(db, ledger.id)
    async with db.transaction():
        await db.execute("SELECT FROM heads WHERE ledger_id = $1 FOR UPDATE", ledger.id)
        response = await site.test_client().post(path, json={"name": "new"}, headers=program)
        assert response.status_code == 503
        assert response.headers["Retry-After"] == "1"
        assert site.database.checked_out == 0
    assert await version_of(db, ledger.id) == before
    assert not (await look(db, ledger.id)).faults


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
async def test_a_body_that_is_no_upload_is_bounded(declared, site: Freshledger):
    """Nobody, signed in or not, fills the memory with one request."""
    length = {"content-length": str(MAX_IN_MEMORY + 1)} if declared else {}
    kind = {"content-type": "application/x-www-form-urlencoded"}
    parts = iter([b"x" * 1024**2] * 17)
    sent: list[dict] = []

    async def receive() -> dict:
        await asyncio.sleep(0)
        return {"type": "http.request", "body": next(parts, b""), "more_body": True}

    async def send(message: dict) -> None:
        sent.append(message)

    async with asyncio.timeout(10):
        await site(scope("POST", "/login", kind | length), receive, send)
    assert sent[0]["status"] == 413
