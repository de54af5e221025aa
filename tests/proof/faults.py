"""The faults that make pages stale, each planted into the running program.

    python -m proof.faults NAME serve --port 0

is the program with that fault and the gates of `proof.gates`; `none` has the gates alone.
"""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from quart import current_app, request
from sqlalchemy import text

from freshledger import cli
from freshledger.cli import serve
from freshledger.live.events import Kind, News
from freshledger.live.feed import Feed
from freshledger.transactions import lists, pages, repository, totals
from freshledger.web import freshness
from freshledger.web.session import FreshQuart, UnitOfWork
from proof import gates

sound_finish = UnitOfWork.finish
stopped_finish = gates.stopping_at("commit", sound_finish)


async def finish(unit: UnitOfWork, *, successful: bool) -> None:
    """The sound end of a request, with a gate before COMMIT."""
    ends = stopped_finish if unit.writes and successful else sound_finish
    await ends(unit, successful=successful)


def plant_gates() -> None:
    """Put gates where faults open a gap: before COMMIT, and between a page's rows and sums."""
    UnitOfWork.finish = finish
    pages.get_totals = totals.get_totals = gates.stopping_at("totals", totals.get_totals)
    make = serve.create_app

    def create_app(settings: Any) -> Any:
        app = make(settings)
        gates.install(app)
        return app

    serve.create_app = create_app


def share_a_session() -> None:
    """All writing requests have the same session."""
    kept: list[Any] = []
    own = UnitOfWork.session.fget

    def shared(unit: UnitOfWork) -> Any:
        if unit.writes and kept and unit._session is None:
            unit._session = kept[0]
        session = own(unit)
        if unit.writes and not kept:
            kept.append(session)
        return session

    UnitOfWork.session = property(shared)


def keep_a_list() -> None:
    """A list that was read once is kept in the module, and shown again."""
    kept: dict[int, Any] = {}
    read = lists.list_documents

    async def list_documents(session: Any, *, ledger_id: int, **options: Any) -> Any:
        if ledger_id not in kept:
            kept[ledger_id] = await read(session, ledger_id=ledger_id, **options)
        return kept[ledger_id]

    lists.list_documents = list_documents


def keep_an_object() -> None:
    """A movement that one request read is shown to others."""
    kept: dict[tuple[int, int], Any] = {}
    read = repository.get_transaction

    async def get_transaction(session: Any, *, ledger_id: int, transaction_id: int) -> Any:
        key = (ledger_id, transaction_id)
        if key not in kept:
            kept[key] = await read(session, ledger_id=ledger_id, transaction_id=transaction_id)
        return kept[key]

    repository.get_transaction = get_transaction


def leave_a_snapshot_open() -> None:
    """BEGIN is written by hand on an AUTOCOMMIT connection: the pool's reset does not end it."""

    async def begin_snapshot(unit: UnitOfWork) -> None:
        if not unit.writes and not unit._in_snapshot:
            await unit.session.execute(text("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"))
            unit._in_snapshot = True

    UnitOfWork.begin_snapshot = begin_snapshot


def commit_after_the_response() -> None:
    """The answer leaves; a task that nobody waits for commits."""
    tasks: set[asyncio.Task[None]] = set()

    async def later(kept: Any) -> None:
        await gates.GATES["commit"].passing()
        await kept.commit()
        await kept.close()

    async def finish(unit: UnitOfWork, *, successful: bool) -> None:
        if not (unit.writes and successful and unit._session):
            await sound_finish(unit, successful=successful)
            return
        kept, unit._session = unit._session, None
        tasks.add(task := asyncio.create_task(later(kept)))
        task.add_done_callback(tasks.discard)

    UnitOfWork.finish = finish


def commit_unshielded() -> None:
    """A client that leaves cancels its request, COMMIT included, as Quart does by itself."""

    async def handle_request(app: FreshQuart, request: Any) -> Any:
        return await super(FreshQuart, app).handle_request(request)

    FreshQuart.handle_request = handle_request


def tell_before_the_commit() -> None:
    """The program tells its streams what it is about to commit."""

    async def announcing(unit: UnitOfWork, *, successful: bool) -> None:
        ledger = getattr(request, "ledger", None)
        topic = current_app.feed.topics.get(ledger.id) if ledger else None
        if unit.writes and successful and topic and topic.version is not None:
            since, topic.version = topic.version, topic.version + 1
            news = News(Kind.CHANGE, since=since, version=since + 1, epoch=ledger.epoch, at=None,
                        changes=())  # fmt: skip
            for mailbox in topic.mailboxes:
                mailbox.put(news)
        await finish(unit, successful=successful)

    UnitOfWork.finish = announcing


def tell_without_catch_up() -> None:
    """A stream begins where its reader says they are, and tells only what comes from then on."""
    begin = Feed.begin

    async def begin_late(
        feed: Feed, stream: Any, topic: Any, mailbox: Any, since: int | None
    ) -> Any:
        stand = await begin(feed, stream, topic, mailbox, since)
        if stand is None or since is None:
            return stand
        return replace(stand, version=since, since=since, changes=())

    Feed.begin = begin_late


def read_two_snapshots() -> None:
    """Every statement of a page is a snapshot of its own."""

    async def begin_snapshot(_unit: UnitOfWork) -> None:
        pass

    UnitOfWork.begin_snapshot = begin_snapshot


def keep_a_tags_version() -> None:
    """The version in a tag is the one that was looked up first."""
    kept: dict[int, int] = {}
    tag = freshness.etag

    def etag(asked: Any, here: Any, who: Any, version: int) -> str:
        return tag(asked, here, who, kept.setdefault(here.id, version))

    freshness.etag = etag


FAULTS: dict[str, Callable[[], None]] = {
    "none": lambda: None,
    "a session shared by two requests": share_a_session,
    "a module-level cached list": keep_a_list,
    "an object cached across requests": keep_an_object,
    "REPEATABLE READ left open in the pool": leave_a_snapshot_open,
    "commit after the response": commit_after_the_response,
    "a commit not shielded from a disconnect": commit_unshielded,
    "an event sent before its commit": tell_before_the_commit,
    "a feed without catch-up": tell_without_catch_up,
    "a page made of two snapshots": read_two_snapshots,
    "a 304 from an old version": keep_a_tags_version,
}

if __name__ == "__main__":
    plant_gates()
    FAULTS[sys.argv.pop(1)]()
    cli.main()
