"""Pages from templates: whole, or one block where htmx asks for it; and notices."""

from typing import Any
from urllib.parse import quote, unquote

from jinja2_fragments.quart import render_block
from quart import Response, has_request_context, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as WerkzeugResponse

NOTICE_COOKIE = "freshledger_notice"


async def render(template: str, *, block: str | None = None, **context: Any) -> str:  # noqa: ANN401 - a template's own names
    """Render a template, or only its `block` where htmx asked for a part of the page."""
    if block and "HX-Request" in request.headers and "HX-Boosted" not in request.headers:
        return await render_block(template, block, **context)
    return await render_template(template, **context)


def see_other(location: str, *, notice: str | None = None) -> Response:
    """Answer a form: 303 to `location`, where `notice` is shown once."""
    response: Any = redirect(location, 303)
    if notice:
        response.set_cookie(NOTICE_COOKIE, quote(notice), max_age=60, httponly=True, samesite="Lax")
    return response  # type: ignore[no-any-return]


def read_notice() -> str | None:
    """Return the notice that the last answer left for this page."""
    text = request.cookies.get(NOTICE_COOKIE) if has_request_context() else None
    return unquote(text) if text else None


def forget_notice(response: Response | WerkzeugResponse) -> Response | WerkzeugResponse:
    """Forget a notice once a page has shown it."""
    shown = request.method == "GET" and response.status_code == 200  # noqa: PLR2004 - OK
    is_page = response.headers.get("Content-Type", "").startswith("text/html")
    if shown and is_page and NOTICE_COOKIE in request.cookies:
        response.delete_cookie(NOTICE_COOKIE)
    return response


def login_redirect() -> Response:
    """Send somebody who is not signed in to the sign-in page, and back afterwards."""
    wanted = request.full_path.rstrip("?") if request.method == "GET" else None
    return see_other(url_for("accounts.login", next=wanted))
