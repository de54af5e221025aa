"""The streams of server-sent events that live pages and programs follow.

A stream is sent after its request has ended, so it holds no session and no connection. What it
says is made in `freshledger.live`.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator
from datetime import datetime
from typing import ClassVar, cast
from uuid import UUID

import msgspec
from hypercorn.typing import ASGISendCallable, ASGISendEvent
from quart import Blueprint, Request, Response, current_app, request
from quart.asgi import ASGIHTTPConnection
from quart_schema import document_headers, document_querystring, document_response, tag

from freshledger.errors import TooMany
from freshledger.live.access import Ticket
from freshledger.live.events import Change, retry
from freshledger.live.feed import Feed
from freshledger.live.telling import account_events, ledger_events
from freshledger.web.api import MAX_ID
from freshledger.web.context import find_ledger, hash_secret, session_token, viewer
from freshledger.web.freshness import unversioned
from freshledger.web.session import FreshQuart

blueprint = Blueprint("live", __name__)

WRITE_SECONDS = 10
"""How long one event may take to be written; a client that has stopped is given up then."""

NEVER = -1
"""The version of a reader whose own is not known: it has to read everything anew."""

MOST_STREAMS = 250
"""Of one user in one process: each has a socket, and a process has about a thousand."""

RETRY_AFTER = 5
"""Seconds after which a refused stream is worth another try."""

_EVENT_STREAM = "text/event-stream"


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


class _ImpatientSend:
    """Gives up an event stream whose client takes nothing: Hypercorn itself waits for ever."""

    def __init__(self, send: ASGISendCallable) -> None:
        self._send = send
        self._seconds: float | None = None

    async def __call__(self, message: ASGISendEvent) -> None:
        if message["type"] == "http.response.start":
            headers = {name.lower(): value for name, value in message["headers"]}
            if headers.get(b"content-type", b"").startswith(_EVENT_STREAM.encode()):
                self._seconds = WRITE_SECONDS
        async with asyncio.timeout(self._seconds):
            await self._send(message)


class LiveConnection(ASGIHTTPConnection):
    """A connection whose streams end when their client has stopped reading."""

    async def handle_request(self, request: Request, send: ASGISendCallable) -> None:
        """Answer; a stream that cannot be written in time raises TimeoutError, which ends it."""
        await super().handle_request(request, _ImpatientSend(send))


class LiveQuart(FreshQuart):
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
    of the event before, so that a gap cannot hide. `beat` comes after 5 seconds without another
    event; who hears nothing for 12 seconds is offline. `closed` ends the stream, because of
    `access` (the token, role or password has changed) or `shutdown`.
    """
    return _ledger_stream(ledger_id)


@blueprint.get("/live")
async def follow_account() -> Response:
    """Follow what pages outside of any ledger show, in a browser."""
    feed = cast("LiveQuart", current_app).feed
    _check_room(feed, viewer().user_id)
    return _stream(account_events(feed, _ticket()))


def _ledger_stream(ledger_id: int) -> Response:
    since = _version(request.headers.get("Last-Event-ID") or request.args.get("since"))
    try:
        epoch = UUID(request.args["epoch"]) if "epoch" in request.args else None
    except ValueError:
        epoch, since = None, NEVER
    feed = cast("LiveQuart", current_app).feed
    _check_room(feed, viewer().user_id)
    return _stream(ledger_events(feed, _ticket(), ledger_id=ledger_id, since=since, epoch=epoch))


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


def _stream(events: AsyncGenerator[bytes, None]) -> Response:
    body = _with_retry(events) if request.method == "GET" else b""
    response = Response(body, content_type=_EVENT_STREAM)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    response.timeout = None
    return response


async def _with_retry(events: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Say first when to come again: not all at the same moment."""
    yield retry(random.randint(1000, 5000))  # noqa: S311 - jitter
    async with contextlib.aclosing(events):
        async for event in events:
            yield event
