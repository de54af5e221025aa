"""A tiny faithful Flask app over Flask-SQLAlchemy, with what an experiment does to it.

A cause adds GET /page, and says by `reading` which Session that page reads. The rest is here:

- the header `Remedy: expire_all` or `remove` calls that on the reading session, in the request,
  before the page reads; `view` makes both calls on what the app calls db.session, there as
  well, and `elsewhere` in another thread;
- POST /same and /own are another function of the app, which writes a contact: on the page's
  session, and on one of its own.
"""

import threading
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from freshledger.diagnosis import copies
from freshledger.diagnosis.cause import World
from freshledger.diagnosis.evidence import HEADER, LOOK, PAGE_TABLE, REMEDY, header
from freshledger.diagnosis.tables import QUESTION, Base, Contact

AnySession = Session | scoped_session[Any]


class FlaskSite:
    """The app; its page is read from `relation`.

    `options` are the engine's, isolation_level for example.
    """

    def __init__(
        self,
        world: World,
        *,
        relation: str = PAGE_TABLE,
        **options: Any,  # noqa: ANN401 - SQLAlchemy's own
    ) -> None:
        self.app = Flask("payments")
        self.app.config["SQLALCHEMY_DATABASE_URI"] = world.url
        self.app.config["SQLALCHEMY_ENGINE_OPTIONS"] = options
        self.db = SQLAlchemy(model_class=Base)
        self.db.init_app(self.app)
        self.reading: Callable[[], AnySession] = lambda: self.db.session
        self.same: Callable[[], None] = lambda: write_contact(self.reading())
        self.own: Callable[[], None] = self._write_on_its_own
        self.registry: scoped_session[Any] = self.db.session
        copies.watch(QUESTION, table=relation)
        self.app.before_request(self._begin)
        self.app.after_request(self._tell)
        self.post("same", lambda site: site.same())
        self.post("own", lambda site: site.own())

    def post(self, name: str, function: Callable[["FlaskSite"], None]) -> None:
        """Add a function of the app that writes."""

        def answer() -> str:
            function(self)
            return "done"

        self.app.add_url_rule(f"/{name}", name, answer, methods=["POST"])

    def read_by_thread(
        self,
        *,
        removed: bool,
        **options: Any,  # noqa: ANN401 - the session's own
    ) -> scoped_session[Session]:
        """Let the app have a registry per thread for its db.session, as without Flask-SQLAlchemy.

        Unless it is `removed` with each request it lives on: cause A1, and what others need to
        show. `options` are the session's.
        """
        with self.app.app_context():
            registry = scoped_session(sessionmaker(self.db.engine, **options))
        self.registry = registry
        self.reading = lambda: registry
        if removed:
            self.app.teardown_appcontext(lambda _error: registry.remove())
        return registry

    def _begin(self) -> None:
        copies.start_hearing()
        remedy = request.headers.get(REMEDY)
        if remedy == "expire_all":
            self.reading().expire_all()
        elif remedy == "remove":
            session = self.reading()
            (session.remove if isinstance(session, scoped_session) else session.close)()
        elif remedy == "view":
            self._remedy_registry()
        elif remedy == "elsewhere":
            self._remedy_elsewhere()

    def _tell(self, response: Response) -> Response:
        response.headers[HEADER] = header(request.headers.get(LOOK, ""), copies.heard())
        return response

    def _remedy_registry(self) -> None:
        self.registry.remove()
        self.registry.expire_all()

    def _remedy_elsewhere(self) -> None:
        """Make the two calls in another thread, as a job or another worker would."""

        def call() -> None:
            with self.app.app_context():
                self._remedy_registry()

        thread = threading.Thread(target=call)
        thread.start()
        thread.join()

    def _write_on_its_own(self) -> None:
        with Session(self.db.engine) as session:
            write_contact(session)


def write_contact(session: AnySession) -> None:
    """Do what the app's other functions do, on one session or another."""
    session.add(Contact(name="Alice"))
    session.commit()
