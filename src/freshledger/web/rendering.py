"""Pages from templates: whole, one block where htmx asks for it, or the body; and notices.

The body alone, `<title>` and `<div id="frame">`, is for an open page that is behind: its
script merges it in.
"""

from typing import Any
from urllib.parse import quote, unquote

from jinja2 import Environment
from jinja2_fragments import render_block
from quart import (
    Quart,
    Response,
    current_app,
    has_request_context,
    redirect,
    request,
    url_for,
)
from werkzeug.wrappers import Response as WerkzeugResponse

from freshledger.web import markup
from freshledger.web.context import find_ledger, find_viewer

NOTICE_COOKIE = "freshledger_notice"
STILL = frozenset({"error.html"})
"""Pages that follow nothing."""


class Templates(Environment):
    """The app's templates, which await nothing: what Quart's own do costs half of a page."""

    def __init__(self, app: Quart, **options: Any) -> None:  # noqa: ANN401 - Jinja's
        super().__init__(loader=app.create_global_jinja_loader(), **options)
        self.globals["markup"] = markup


def asks_for_body() -> bool:
    """Tell whether an open page asks for its own body again, to show the present state."""
    headers = request.headers
    return (
        request.method == "GET" and "HX-Request" in headers and headers.get("HX-Target") == "frame"
    )


async def render(template: str, *, block: str | None = None, **context: Any) -> str:  # noqa: ANN401 - a template's own names
    """Render a template, or only its `block` or its body where the page's script asked for that."""
    await current_app.update_template_context(context)
    templates: Any = current_app.jinja_env
    live = asks_for_body()
    wants_block = "HX-Request" in request.headers and "HX-Boosted" not in request.headers
    if block and wants_block and not live:
        return render_block(templates, template, block, context)
    context |= {"live": live, "follows": _followed(template)}
    return str(templates.get_template(template).render(context))


def _followed(template: str) -> str | None:
    """Return the address of the stream of what the page shows; strangers' pages have none."""
    if find_viewer() is None or template in STILL:
        return None
    ledger = find_ledger()
    if ledger is None:
        return url_for("live.follow_account")
    return url_for("live.follow_ledger", ledger_id=ledger.id)


def see_other(location: str, *, notice: str | None = None) -> Response:
    """Answer a form: 303 to `location`, where `notice` is shown once."""
    response: Any = redirect(location, 303)
    if notice:
        response.set_cookie(NOTICE_COOKIE, quote(notice), max_age=60, httponly=True, samesite="Lax")
    return response  # type: ignore[no-any-return]


def read_notice() -> str | None:
    """Return the notice that the last answer left for this page; it is not for an open one."""
    if not has_request_context() or asks_for_body():
        return None
    text = request.cookies.get(NOTICE_COOKIE)
    return unquote(text) if text else None


async def forget_notice(response: Response | WerkzeugResponse) -> Response | WerkzeugResponse:
    """Forget a notice once a page has shown it."""
    is_page = response.headers.get("Content-Type", "").startswith("text/html")
    if not is_page or NOTICE_COOKIE not in request.cookies:
        return response
    if request.method == "GET" and response.status_code == 200 and not asks_for_body():  # noqa: PLR2004 - OK
        response.delete_cookie(NOTICE_COOKIE)
    return response


def login_redirect() -> Response:
    """Send somebody who is not signed in to the sign-in page, and back afterwards."""
    wanted = request.full_path.rstrip("?") if request.method == "GET" else None
    return see_other(url_for("accounts.login", next=wanted))
