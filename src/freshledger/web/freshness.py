"""Which version an answer shows, and whether its asker has that answer already.

An answer's ETag names all that its content depends on (PARTS), its address and its viewer too.
So whoever comes with a tag was given it here: the look-up of viewer and ledger tells whether it
still holds, and 304 costs that look-up, before any hook or view runs. What a page shows besides
must count for the ledger's version, or the page has no ETag (UNVERSIONED).
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from quart import Quart, Request, Response, current_app
from quart.wrappers.response import DataBody
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.datastructures import ETags, Headers, MIMEAccept
from werkzeug.http import parse_accept_header, quote_etag

from freshledger import __version__
from freshledger.errors import AppError
from freshledger.web.context import (
    Access,
    Viewer,
    ViewerRequest,
    asked,
    ledger,
    recognise,
    viewer,
)
from freshledger.web.rendering import NOTICE_COOKIE
from freshledger.web.security import HX, VARY, cache_control, is_ahead
from freshledger.web.session import READING, FreshQuart

UNVERSIONED = {
    "clock": "it shows the present moment, or what expires without a change",
    "export": "an export's progress and file do not count for the ledger's version",
    "people": "it shows who is disabled, or the name of somebody who is no longer a member;"
    " neither counts for the ledger's version",
    "progress": "an import's progress and its parsed rows do not count until it is committed",
    "stream": "a stream has no end; it says by itself which versions it tells of",
    "token use": "a token's last use is written by reading requests, which change nothing",
}
"""Why a view's answers have no ETag; `unversioned` names the reason."""

KINDS = ("text/html", "application/json", "text/event-stream")
"""What an Accept header chooses from."""

View = TypeVar("View", bound=Callable[..., object])


def install(app: Quart) -> None:
    """Let reading answers say what they show; call this after the viewer's hook."""
    build()
    app.after_request(_say_what_is_shown)


def unversioned(reason: str) -> Callable[[View], View]:
    """Mark a view that shows what does not count for the ledger's version: it has no ETag.

    `reason` is one of UNVERSIONED.
    """
    if reason not in UNVERSIONED:
        raise KeyError(reason)

    def mark(view: View) -> View:
        view.unversioned = reason  # type: ignore[attr-defined]
        return view

    return mark


def shows(version: int) -> None:
    """Say which version of the ledger the answer shows, in a view that reads one statement.

    All others show the version that the look-up found in the same snapshot.
    """
    asked().shown_version = version


@cache
def build() -> str:
    """Return what names this build: its version and the digest of its files, read once."""
    package, digest = Path(__file__).parents[1], blake2b(digest_size=16)
    for path in sorted(package.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            name = str(path.relative_to(package)).encode()
            content = path.read_bytes()
            digest.update(b"%d %b %d " % (len(name), name, len(content)) + content)
    return f"{__version__}+{digest.hexdigest()}"


def today_of(who: Viewer) -> str:
    """Return the viewer's day: what a relative date in the address is relative to."""
    try:
        zone = ZoneInfo(who.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        zone = ZoneInfo("UTC")
    return _now().astimezone(zone).date().isoformat()


def _now() -> datetime:
    return datetime.now(UTC)


def _representation(current: ViewerRequest) -> object:
    """Return what else of the request the answer depends on; VARY says so to caches."""
    given = {name.lower(): value for name, value in current.headers}
    headers, kind = [given.get(name) for name in _HX], _kind(given.get("accept", ""))
    return [current.root_path, current.path, current.query_string.decode("latin-1"), kind, headers]


_HX = tuple(name.lower() for name in HX)


@lru_cache(maxsize=256)
def _kind(accept: str) -> str | None:
    return parse_accept_header(accept, MIMEAccept).best_match(KINDS)


PARTS: dict[str, Callable[[ViewerRequest, Access, Viewer], object]] = {
    "ledger": lambda _request, here, _who: [here.id, here.epoch],
    "build": lambda _request, _here, _who: build(),
    "migration": lambda _request, here, _who: here.migration,
    "representation": lambda request, _here, _who: _representation(request),
    "viewer": lambda _request, _here, who: [who.user_id, who.name, who.email, who.is_admin],
    "role": lambda _request, here, _who: here.role,
    "session": lambda _request, _here, who: [who.csrf_token, who.token_scope],
    "settings": lambda _request, _here, who: [
        who.settings_version, who.time_zone, who.theme, who.page_size,
    ],
    "today": lambda _request, _here, who: today_of(who),
}  # fmt: skip
"""What an answer depends on besides the ledger's version.

A page has its session's CSRF token. The settings are in it themselves too, for somebody in
psql changes them without their version; the day, whether or not the address has a relative
date: then none can be overlooked, and a day has one midnight.
"""


def etag(request: ViewerRequest, here: Access, who: Viewer, version: int) -> str:
    """Return the tag of the answer to that request that shows `version` to its viewer."""
    parts = {name: part(request, here, who) for name, part in PARTS.items()}
    return blake2b(msgspec.json.encode([version, parts]), digest_size=16).hexdigest()


class TaggedQuart(FreshQuart):
    """Answers 304 to who has what would be shown, before anything else is done."""

    async def answer_early(self, request: Request) -> Response | None:
        """Look the viewer and the ledger up; None where the request has to be handled.

        Also where something is wrong: handling it meets the same, and answers it.
        """
        given, place = request.if_none_match, _LEDGER.match(request.path)
        known = cast("ViewerRequest", request)
        if not given or given.star_tag or not place or not _may_have_tag(known):
            return None
        answer = await self._answer_unchanged(known, given, int(place[1]))
        if answer is None:
            known.forget()
        return answer

    async def _answer_unchanged(
        self, request: ViewerRequest, given: ETags, ledger_id: int
    ) -> Response | None:
        try:
            async with self.database.looking() as connection:
                await recognise(connection, request, ledger_id)
        except (AppError, DBAPIError, PoolTimeout):
            return None
        if request.ledger is None or request.viewer is None:
            return None
        version = request.ledger.version
        tag = etag(request, request.ledger, request.viewer, version)
        return _not_modified(request, tag, version) if given.contains_weak(tag) else None


_LEDGER = re.compile(r"/(?:api/v1/)?ledgers/([0-9]{1,18})(?:/|$)")


def _may_have_tag(request: ViewerRequest) -> bool:
    """Tell whether the request may have a tag at all; an answer with a notice is shown once."""
    reads = request.method in READING - {"OPTIONS"}
    return reads and NOTICE_COOKIE not in request.cookies and not is_ahead(request)


def _has_etag(request: ViewerRequest, view: object) -> bool:
    """Tell whether a good answer of the view to this request has an ETag."""
    versioned = not hasattr(view, "unversioned")
    return request.ledger is not None and versioned and _may_have_tag(request)


class _NotModified(Response):
    """An answer without a body, of no type."""

    default_mimetype = None  # type: ignore[assignment]  # Werkzeug allows none


def _not_modified(request: ViewerRequest, tag: str, version: int) -> Response:
    """Make a 304: what a stored answer keeps of its headers stays as it is."""
    headers = [
        ("Ledger-Version", str(version)),
        ("ETag", quote_etag(tag)),
        ("Cache-Control", cache_control(request, 304)),
        ("Vary", ", ".join(VARY)),
    ]
    return _NotModified(DataBody(b""), 304, Headers(headers))


async def _say_what_is_shown(response: Response) -> Response:
    """Name the version that the answer shows, and tag it."""
    request = asked()
    view = current_app.view_functions.get(request.endpoint or "")
    version = _shown_version(request, view)
    if version is None or response.status_code >= 500:  # noqa: PLR2004 - it shows nothing
        return response
    response.headers.setdefault("Ledger-Version", str(version))
    if response.status_code != 200 or not _has_etag(request, view):  # noqa: PLR2004 - OK
        return response
    tag = etag(request, ledger(), viewer(), version)
    if request.if_none_match.star_tag:
        return _not_modified(request, tag, version)
    response.headers["ETag"] = quote_etag(tag)
    return response


def _shown_version(request: ViewerRequest, view: object) -> int | None:
    """Return the version that the answer shows; None where it is no reading of one ledger."""
    if request.ledger is None or request.method not in READING - {"OPTIONS"}:
        return None
    if getattr(view, "one_statement", False):
        return request.shown_version
    return request.ledger.version
