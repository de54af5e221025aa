"""Security headers, and the defence against cross-site requests."""

import hashlib
import hmac

from quart import Quart, Request, Response, request

from freshledger.errors import Forbidden
from freshledger.web.session import READING, current_request

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'"
)
"""No inline code, nothing from elsewhere, and nobody may frame us."""

AHEAD = ("Sec-Purpose", "Purpose", "X-Moz")
"""Where a browser says that it prefetches or prerenders."""
HX = ("HX-Request", "HX-Boosted", "HX-Target")
VARY = ("Cookie", "Authorization", "Accept", *HX)
"""What of a request its answer depends on, besides the address."""


def install(app: Quart) -> None:
    """Put the security headers on every response of `app`, and show no page before its time."""
    app.before_request(_refuse_ahead)
    app.after_request(_headers)


def csrf_token(session_token: str) -> str:
    """Derive the anti-forgery token of a signed-in browser from its session's secret."""
    return hmac.new(session_token.encode(), b"csrf", hashlib.sha256).hexdigest()


def check_same_site(asked: Request) -> None:
    """Raise Forbidden for a state-changing request that another site's page sent.

    Browsers say so in Sec-Fetch-Site; on plain http to another host than localhost they
    leave it out, then Origin must be ours. A program sends neither, and no cookies.
    """
    if asked.method in READING:
        return
    site = asked.headers.get("Sec-Fetch-Site")
    origin = asked.headers.get("Origin")
    if site is not None and site not in {"same-origin", "none"}:
        raise Forbidden("this form was sent by another site's page; open the page here and retry")
    if site is None and origin is not None and origin.partition("://")[2] != asked.host:
        raise Forbidden("this form was sent by another site's page; open the page here and retry")


async def check_csrf_token(session_token: str) -> None:
    """Raise Forbidden unless the form or the X-CSRF-Token header carries the token."""
    if request.method in READING:
        return
    given = request.headers.get("X-CSRF-Token") or (await request.form).get("csrf_token", "")
    if not hmac.compare_digest(given.encode(), csrf_token(session_token).encode()):
        raise Forbidden("this form is out of date; reload the page and send it again")


def is_ahead(asked: Request) -> bool:
    """Tell whether a browser asks before anybody wants to see the page."""
    return any(name in AHEAD and "prefetch" in value.lower() for name, value in asked.headers)


def cache_control(asked: Request, status: int) -> str:
    """Say who may keep an answer: nobody a page, a program's own cache what it asks about."""
    programs = asked.path.startswith("/api/") and status < 500  # noqa: PLR2004 - 5xx
    return "private, no-cache" if programs else "no-store"


_ALWAYS = (
    ("Content-Security-Policy", POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
_VARIES = ("Vary", ", ".join(VARY))


async def _refuse_ahead() -> Response | None:
    """Refuse to make a page that nobody asked to see yet: it would be old once it is shown."""
    asked = current_request()
    if asked.endpoint == "static" or not is_ahead(asked):
        return None
    return Response("Pages are not made before they are asked for.", 503, content_type="text/plain")


async def _headers(response: Response) -> Response:
    """Put on the headers that every answer has; those that the view has set stay."""
    asked, headers = current_request(), response.headers
    given = {name for name, _ in headers}
    if asked.endpoint != "static":
        if "Vary" in given:
            response.vary.update(VARY)
        headers["Cache-Control"] = cache_control(asked, response.status_code)
        headers.extend(pair for pair in (*_ALWAYS, _VARIES) if pair[0] not in given)
    else:
        headers.extend(pair for pair in _ALWAYS if pair[0] not in given)
    if asked.scheme == "https":
        headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    return response
