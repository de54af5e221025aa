"""The streams of server-sent events that live pages and programs follow.

A stream is sent after its request has ended, so it holds no session and no connection. What it
says is made in `freshledger.live`.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import ClassVar, cast
from uuid import UUID

import msgspec
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable
from quart import Blueprint, Request, Response, current_app, request
from quart.asgi import ASGIHTTPConnection
from quart.typing import ResponseTypes
from quart.utils import encode_headers
from quart_schema import document_headers, document_querystring, document_response, tag

from freshledger.errors import TooMany
from freshledger.live.events import Change
from freshledger.live.feed import Feed
from freshledger.live.streams import LEFT, WRITE_SECONDS, Stream, Ticket
from freshledger.live.telling import tell_account, tell_ledger
from freshledger.web.api import MAX_ID
from freshledger.web.context import find_ledger, hash_secret, session_token, viewer
from freshledger.web.freshness import TaggedQuart, unversioned

blueprint = Blueprint("live", __name__)

NEVER = -1
"""The version of a reader whose own is not known: it has to read everything anew."""

MOST_STREAMS = 250
"""Of one user in one process: each has a socket, and a process has about a thousand."""

RETRY_AFTER = 5
"""Seconds after which a refused stream is worth another try."""

_EVENT_STREAM = "text/event-stream"

Tell = Callable[[Stream], Awaitable[None]]


class Since(msgspec.Struct):
    """What the reader of a stream has."""

    since: int | None = None
    epoch: UUID | None = None


class LastEvent(msgspec.Struct):
    """What the reader of a stream heard last; it wins over `since`."""

    last_event_id: int | None = None


class LedgerEvent(msgspec.Struct):
    """Server-sent events without end; this is the JSON in the data of ready, change and resync."""

    content_type: ClassVar[str] = _EVENT_STREAM

    version: int
    since: int
    epoch: UUID
    at: datetime | None
    sent: datetime
    changes: list[Change]


class EventStream(Response):
    """An answer that is told, event by event, when nothing of its request is left."""

    def __init__(self, ticket: Ticket, tell: Tell) -> None:
        super().__init__(b"", content_type=_EVENT_STREAM)
        del self.headers["Content-Length"]
        self.headers["Cache-Control"] = "no-store"
        self.headers["X-Accel-Buffering"] = "no"
        self.ticket = ticket
        self.tell = tell


class LiveConnection(ASGIHTTPConnection):
    """A connection that tells a stream itself: one task, and one that waits for its client to leave.

    Of a thousand streams each has its request forgotten, and an event passes through no
    generators on its way.
    """

    _told: tuple[Ticket, Tell] | None = None
    _left = False

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Answer; where the answer is a stream, tell it then."""
        await super().__call__(receive, send)
        told, self._told = self._told, None
        if told is not None and not self._left:
            await _follow(*told, receive, send)

    async def handle_messages(self, request: Request, receive: ASGIReceiveCallable) -> None:
        """Take in the request's body, until the answer has begun or the client has left."""
        await super().handle_messages(request, receive)
        self._left = True

    async def _send_response(self, send: ASGISendCallable, response: ResponseTypes) -> None:
        if not isinstance(response, EventStream) or self.scope["method"] != "GET":
            await super()._send_response(send, response)
            return
        async with asyncio.timeout(WRITE_SECONDS):
            await send({
                "type": "http.response.start", "status": response.status_code,
                "headers": encode_headers(response.headers), "trailers": False,
            })  # fmt: skip
        self._told = response.ticket, response.tell


async def _follow(
    ticket: Ticket, tell: Tell, receive: ASGIReceiveCallable, send: ASGISendCallable
) -> None:
    """Tell a stream to its end, or until its client leaves or takes nothing any more."""

    async def say(text: bytes) -> None:
        await send({"type": "http.response.body", "body": text, "more_body": True})

    async def leave() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        stream.end(LEFT)

    stream = Stream(ticket, say)
    leaving = asyncio.create_task(leave())
    try:
        await stream.run(tell(stream))
    finally:
        leaving.cancel()
    if stream.ended != LEFT:
        with contextlib.suppress(TimeoutError):  # it takes nothing: its connection is closed
            async with asyncio.timeout(WRITE_SECONDS):
                await send({"type": "http.response.body", "body": b"", "more_body": False})


class LiveQuart(TaggedQuart):
    """An application with a feed."""

    asgi_http_class = LiveConnection
    shutdown_event: asyncio.Event
    feed: Feed


@blueprint.get("/ledgers/<int:ledger_id>/live")
@unversioned("stream")
async def follow_ledger(ledger_id: int) -> Response:
    """Follow a ledger, in a browser."""
    return _ledger_stream(ledger_id)


@blueprint.get("/api/v1/ledgers/<int:ledger_id>/live")
@tag(["live"])
@document_querystring(Since)
@document_headers(LastEvent)
@document_response(LedgerEvent)
@unversioned("stream")
async def follow_ledger_api(ledger_id: int) -> Response:
    """Follow a ledger: a stream of server-sent events, without end.

    The query may say what the reader has: `epoch` (a uuid) and `since` (a version); the header
    `Last-Event-ID` wins over `since`. The first event is `ready` (nothing has happened since),
    `change` (it has: at most 500 versions) or `resync` (what happened cannot be told: read
    everything anew). From then on `change` comes with every commit; its `since` is the `version`
    of the event before, so that a gap cannot hide. `beat` comes every 5 seconds; who hears nothing
    for 12 seconds is offline. `closed` ends the stream, because of
    `access` (the token, role or password has changed) or `shutdown`.
    """
    return _ledger_stream(ledger_id)


@blueprint.get("/live")
async def follow_account() -> Response:
    """Follow what pages outside of any ledger show, in a browser."""
    feed = cast("LiveQuart", current_app).feed
    _check_room(feed, viewer().user_id)
    return EventStream(_ticket(), partial(tell_account, feed))


def _ledger_stream(ledger_id: int) -> Response:
    since = _version(request.headers.get("Last-Event-ID") or request.args.get("since"))
    try:
        epoch = UUID(request.args["epoch"]) if "epoch" in request.args else None
    except ValueError:
        epoch, since = None, NEVER
    feed = cast("LiveQuart", current_app).feed
    _check_room(feed, viewer().user_id)
    tell = partial(tell_ledger, feed, ledger_id=ledger_id, since=since, epoch=epoch)
    return EventStream(_ticket(), tell)


def _version(text: str | None) -> int | None:
    """Read a version; what is none is one that nobody has."""
    if not text:
        return None
    return min(int(text), MAX_ID) if text.isascii() and text.isdigit() else NEVER


def _ticket() -> Ticket:
    """Return by what right the stream is open."""
    who, ledger, secret = viewer(), find_ledger(), session_token()
    return Ticket(
        user_id=who.user_id,
        ledger_id=ledger.id if ledger else who.token_ledger_id,
        session_hash=hash_secret(secret) if secret else None,
        token_id=who.token_id,
    )


def _check_room(feed: Feed, user_id: int) -> None:
    """Raise TooMany where the user's streams would leave no room for those of others."""
    if sum(stream.ticket.user_id == user_id for stream in feed.guard.streams) >= MOST_STREAMS:
        raise TooMany(
            f"{MOST_STREAMS} streams are open already; close some first", retry_after=RETRY_AFTER
        )
