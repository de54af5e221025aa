"""Pages of one's own account: set-up link, sign-in, settings, sessions."""

from typing import cast
from zoneinfo import available_timezones

from quart import Blueprint, Response, current_app, request, url_for
from quart.typing import ResponseReturnValue

from freshledger.accounts import commands, repository
from freshledger.accounts.commands import Browser, Choices, Newcomer
from freshledger.database import AnyRow
from freshledger.errors import AppError, Conflict, Invalid, NotFound, TooMany, Unauthenticated
from freshledger.settings import Settings
from freshledger.web.context import (
    find_viewer,
    hash_secret,
    public,
    session_cookie,
    session_token,
    viewer,
)
from freshledger.web.errors import STATUSES
from freshledger.web.idempotency import resume_writing
from freshledger.web.rendering import render, see_other
from freshledger.web.session import FreshQuart, current_session

blueprint = Blueprint("accounts", __name__)


@blueprint.get("/setup/<token>")
@public
async def setup(token: str) -> ResponseReturnValue:
    """Ask the bearer of a one-time link for what an account needs."""
    invitation = await commands.find_invitation(current_session(), secret=token)
    return await _setup_page(invitation)


@blueprint.post("/setup/<token>")
@public
async def accept_setup(token: str) -> ResponseReturnValue:
    """Make the account and sign in."""
    form, session = await request.form, current_session()
    names = ("email", "name", "password", "ledger_name")
    newcomer = Newcomer(**{name: form.get(name, "") for name in names})
    invitation = await commands.find_invitation(session, secret=token)
    if invitation is None:
        return await _setup_page(None)
    try:
        secret = await commands.accept_invitation(
            session, invitation=invitation, newcomer=newcomer, browser=_browser()
        )
    except NotFound:
        return await _setup_page(None)
    except (Invalid, Conflict) as error:
        return await _setup_page(invitation, error=error, given=newcomer)
    return _sign_in(see_other(url_for("ledgers.list_ledgers"), notice="Welcome."), secret)


@blueprint.get("/login")
@public
async def login() -> ResponseReturnValue:
    """Ask for email and password; whoever is signed in already goes on."""
    if find_viewer():
        return see_other(_next() or "/")
    return await _login_page()


@blueprint.post("/login")
@public
async def sign_in() -> ResponseReturnValue:
    """Sign in with a session of its own, whatever the browser had before."""
    form = await request.form
    email, before = form.get("email", ""), session_token()
    try:
        secret = await commands.sign_in(
            _app().database,
            current_session(),
            email=email,
            password=form.get("password", ""),
            browser=_browser(),
        )
    except (Unauthenticated, TooMany) as error:
        return await _login_page(error=error, email=email)
    if before:
        await repository.delete_session_of(current_session(), token_hash=hash_secret(before))
    return _sign_in(see_other(_next() or "/"), secret)


@blueprint.post("/logout")
async def logout() -> ResponseReturnValue:
    """End this browser's session, here and in the database."""
    token_hash = hash_secret(session_token() or "")
    await repository.delete_session_of(current_session(), token_hash=token_hash)
    response = see_other(url_for("accounts.login"), notice="You are signed out.")
    response.delete_cookie(
        session_cookie(request.scheme), secure=_is_secure(), httponly=True, samesite="Lax"
    )
    return response


@blueprint.get("/settings")
async def settings() -> ResponseReturnValue:
    """Show one's settings, password and sessions."""
    return await _settings_page()


@blueprint.post("/settings")
async def save_settings() -> ResponseReturnValue:
    """Save how one's pages look."""
    form = await request.form
    names = ("name", "time_zone", "theme", "page_size")
    chosen = Choices(**{name: form.get(name, "") for name in names})
    try:
        await commands.save_settings(current_session(), user_id=viewer().user_id, chosen=chosen)
    except Invalid as error:
        return await _settings_page(error=error, given=chosen)
    return see_other(url_for("accounts.settings"), notice="Settings saved.")


@blueprint.post("/settings/password")
async def change_password() -> ResponseReturnValue:
    """Change one's password, which needs the present one, and end all other sessions."""
    form, who, session = await request.form, viewer(), current_session()
    try:
        await commands.confirm_password(
            _app().database,
            session,
            user_id=who.user_id,
            password=form.get("current", ""),
            address=_address(),
        )
        await resume_writing(who.user_id)
        await commands.change_password(
            session,
            user_id=who.user_id,
            password=form.get("password", ""),
            session_secret=session_token(),
        )
    except (Invalid, TooMany) as error:
        return await _settings_page(error=error)
    notice = "Password changed; all other browsers are signed out."
    return see_other(url_for("accounts.settings"), notice=notice)


@blueprint.post("/settings/sessions/delete")
async def delete_other_sessions() -> ResponseReturnValue:
    """Sign out everywhere but here."""
    keep = hash_secret(session_token() or "")
    await repository.delete_sessions(current_session(), user_id=viewer().user_id, keep=keep)
    return see_other(url_for("accounts.settings"), notice="All other browsers are signed out.")


@blueprint.post("/settings/sessions/<int:session_id>/delete")
async def delete_session(session_id: int) -> ResponseReturnValue:
    """Sign out one browser."""
    await repository.delete_session(
        current_session(), user_id=viewer().user_id, session_id=session_id
    )
    return see_other(url_for("accounts.settings"), notice="That browser is signed out.")


def local_path(wanted: str) -> str | None:
    """Return a path of this site to go on to, None for every address that leads elsewhere.

    Browsers take a backslash for a slash, and drop tabs and line ends before they look.
    """
    leads_here = wanted.startswith("/") and not wanted.startswith("//")
    return wanted if leads_here and "\\" not in wanted and wanted.isprintable() else None


async def _login_page(*, error: AppError | None = None, email: str = "") -> ResponseReturnValue:
    fresh = not await repository.has_users(current_session())
    page = await render("accounts/login.html", error=error, email=email, next=_next(), fresh=fresh)
    return _with_status(page, error)


async def _setup_page(
    invitation: AnyRow | None,
    *,
    error: AppError | None = None,
    given: Newcomer | None = None,
) -> ResponseReturnValue:
    if invitation is None:
        return _with_status(await render("accounts/used.html"), NotFound(""))
    page = await render("accounts/setup.html", invitation=invitation, error=error, given=given)
    return _with_status(page, error)


async def _settings_page(
    *, error: AppError | None = None, given: Choices | None = None
) -> ResponseReturnValue:
    sessions = await repository.list_sessions(current_session(), user_id=viewer().user_id)
    page = await render(
        "accounts/settings.html",
        error=error,
        given=given or viewer(),
        sessions=sessions,
        this_session=hash_secret(session_token() or ""),
        time_zones=[(zone, zone) for zone in sorted(available_timezones())],
        page_sizes=[(size, size) for size in commands.PAGE_SIZES],
    )
    return _with_status(page, error)


def _with_status(page: str, error: AppError | None) -> ResponseReturnValue:
    """Answer a form: the page again, with the status and headers of what is wrong with it."""
    if error is None:
        return page
    status = 422 if isinstance(error, Unauthenticated) else STATUSES[type(error)]
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, TooMany) else {}
    return page, status, headers


def _sign_in(response: Response, secret: str) -> Response:
    response.set_cookie(
        session_cookie(request.scheme),
        secret,
        max_age=_app().settings.session_hours * 3600,
        secure=_is_secure(),
        httponly=True,
        samesite="Lax",
    )
    return response


def _browser() -> Browser:
    agent = request.headers.get("User-Agent", "")
    return Browser(_address(), agent, _app().settings.session_hours)


def _address() -> str:
    return request.remote_addr or ""


def _is_secure() -> bool:
    return request.scheme == "https"


def _next() -> str | None:
    return local_path(request.args.get("next", ""))


@blueprint.app_template_filter("browser_name")
def browser_name(agent: str) -> str:
    """Name a browser and its system from a User-Agent, as well as one can."""
    browser = next((name for mark, name in _BROWSERS if mark in agent), None)
    system = next((name for mark, name in _SYSTEMS if mark in agent), None)
    known = " on ".join(name for name in (browser, system) if name)
    return known or agent[:60] or "An unnamed browser"


_BROWSERS = (
    ("Firefox/", "Firefox"), ("Edg/", "Edge"), ("OPR/", "Opera"), ("Chrome/", "Chrome"),
    ("Safari/", "Safari"), ("curl/", "curl"),
)  # fmt: skip
_SYSTEMS = (
    ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"),
    ("Mac OS X", "macOS"), ("CrOS", "ChromeOS"), ("Linux", "Linux"),
)  # fmt: skip
"""Marks in a User-Agent, the telling ones first: Edge also calls itself Chrome and Safari."""


class _App(FreshQuart):
    """What these pages need of the application."""

    settings: Settings


def _app() -> _App:
    return cast("_App", current_app)
