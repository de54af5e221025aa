"""create_app: the only place that wires things together."""

from collections.abc import AsyncGenerator
from typing import Any, cast

from quart import Blueprint, Request, Response, redirect, request, url_for
from quart.typing import ResponseReturnValue

from freshledger import __version__
from freshledger.accounts import pages as accounts_pages
from freshledger.accounts import people
from freshledger.chains import CHAINS, NETWORKS, display_address
from freshledger.contacts import api as contacts_api
from freshledger.contacts import book_pages as contacts_pages
from freshledger.history import api as history_api
from freshledger.history import pages as history_pages
from freshledger.imports import api as imports_api
from freshledger.imports import export_pages
from freshledger.imports import pages as imports_pages
from freshledger.imports.tasks import Tasks, running_tasks
from freshledger.labels import api as labels_api
from freshledger.labels import pages as labels_pages
from freshledger.ledgers import api as ledgers_api
from freshledger.ledgers import pages as ledgers_pages
from freshledger.live.feed import running_feed
from freshledger.settings import Settings
from freshledger.startup import open_database
from freshledger.transactions import api as transactions_api
from freshledger.transactions import pages as transactions_pages
from freshledger.wallets import api as wallets_api
from freshledger.wallets import pages as wallets_pages
from freshledger.web import api, context, errors, freshness, rendering, security, session, stream
from freshledger.web.times import local_time

PLACES = (
    ("Transactions", "transactions", "/transactions"),
    ("Contacts", "contacts", "/contacts"),
    ("Labels", "labels", "/labels"),
    ("Wallets", "wallets", "/wallets"),
    ("Imports", "imports", "/imports"),
    ("History", "history", "/history"),
    ("Ledger", "ledgers", ""),
)
"""The main places of a ledger, in the order of the navigation: text, blueprint, path in it."""


class Freshledger(stream.LiveQuart):
    """The application."""

    request_class = context.ViewerRequest
    jinja_environment = rendering.Templates  # type: ignore[assignment]
    settings: Settings
    tasks: Tasks

    async def answer_early(self, request: Request) -> Response | None:
        """Answer as early as can be; a token is used also by who finds nothing changed."""
        answer = await super().answer_early(request)
        if answer is not None:
            ledgers_api.note_token_use(self, cast("context.ViewerRequest", request).viewer)
        return answer


def create_app(settings: Settings) -> Freshledger:
    """Make the application; it opens its database when it begins to serve."""
    app = Freshledger("freshledger", static_folder="static", template_folder="templates")
    app.config.update(
        TESTING=settings.testing,
        MAX_CONTENT_LENGTH=settings.max_upload,
        MAX_FORM_MEMORY_SIZE=4 * 1024**2,
        RESPONSE_TIMEOUT=None,
        TEMPLATES_AUTO_RELOAD=False,
    )
    app.settings = settings
    _install_hooks(app)
    _install_templates(app)
    _register_features(app)

    @app.while_serving
    async def database() -> AsyncGenerator[None, None]:
        async with (
            open_database(settings) as app.database,
            running_tasks(app.database, settings) as app.tasks,
            running_feed(app.database, app.shutdown_event.wait) as app.feed,
        ):
            yield

    return app


def _install_hooks(app: Freshledger) -> None:
    session.install(app)  # first: its after_request, the commit, must run last
    security.install(app)
    app.after_request(rendering.forget_notice)
    context.install(app)
    freshness.install(app)
    errors.install(app)
    api.install(app)


def _install_templates(app: Freshledger) -> None:
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters["display_address"] = display_address
    app.jinja_env.filters["local_time"] = local_time
    app.jinja_env.globals.update(version=__version__, CHAINS=CHAINS, NETWORKS=NETWORKS)
    app.context_processor(_frame)


async def _frame() -> dict[str, Any]:
    """Return what the frame of every page shows (templates/base.html)."""
    viewer, ledger = context.find_viewer(), context.find_ledger()
    notice = rendering.read_notice()
    frame: dict[str, Any] = {
        "viewer": viewer,
        "ledger": ledger,
        "csrf_token": viewer.csrf_token if viewer else "",
        "theme": viewer.theme if viewer and viewer.theme != "auto" else None,
        "notices": [{"text": notice, "kind": "good"}] if notice else [],
    }
    if viewer:
        frame |= {
            "ledgers_url": url_for("ledgers.list_ledgers"),
            "logout_url": url_for("accounts.logout"),
            "user_menu": _user_menu(viewer),
        }
    if ledger:
        home = url_for("ledgers.show_ledger", ledger_id=ledger.id)
        here = (request.blueprint or "").partition(".")[0]
        frame["nav"] = [
            {"text": text, "url": home + path, "active": here == blueprint}
            for text, blueprint, path in PLACES
        ]
    return frame


def _user_menu(viewer: context.Viewer) -> list[dict[str, str]]:
    menu = [{"text": "Settings", "url": url_for("accounts.settings"), "drawing": "settings"}]
    if viewer.is_admin:
        people = {"text": "People", "url": url_for("people.list_people"), "drawing": "user"}
        menu.insert(0, people)
    return menu


def _register_features(app: Freshledger) -> None:
    """Register every feature's blueprints: pages at the root, programs' under /api/v1."""
    blueprints: tuple[Blueprint, ...] = (
        accounts_pages.blueprint,
        people.blueprint,
        ledgers_pages.blueprint,
        ledgers_api.blueprint,
        wallets_pages.blueprint,
        wallets_api.blueprint,
        contacts_pages.blueprint,
        contacts_api.blueprint,
        labels_pages.blueprint,
        labels_api.blueprint,
        transactions_pages.blueprint,
        transactions_api.blueprint,
        imports_pages.blueprint,
        export_pages.blueprint,
        imports_api.blueprint,
        history_pages.blueprint,
        history_api.blueprint,
        stream.blueprint,
    )
    for blueprint in blueprints:
        app.register_blueprint(blueprint)

    @app.get("/")
    async def home() -> ResponseReturnValue:
        return redirect(url_for("ledgers.list_ledgers"), 303)
