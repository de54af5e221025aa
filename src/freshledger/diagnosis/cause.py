"""What a cause is to the experiments: an app that has it, how it is served, how it is answered."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import requests

EngineName = Literal["postgresql", "replicated", "sqlite", "mariadb"]
"""`replicated` is a PostgreSQL with a streaming replica, under one address: see replica."""

Serving = Literal["threads", "workers", "quart", "fastapi"]


@dataclass(frozen=True)
class World:
    """Where an app under experiment lives: its database, a folder of its own; healed or not.

    `url` is SQLAlchemy's, for a synchronous driver.
    """

    url: str
    folder: Path
    healed: bool = False


class Site(Protocol):
    """An app under experiment, with what the experiment can do to it (flask_site, quart_site)."""

    @property
    def app(self) -> Any:  # noqa: ANN401 - WSGI or ASGI
        """What the server serves."""
        ...


@dataclass(frozen=True)
class Cause:
    """A cause of a stale page.

    `fix` says in one or two sentences what to do about it. `server`: Flask on waitress with one
    `threads` worker thread per `size`, or on `size` gunicorn `workers`; `quart` on Hypercorn;
    `fastapi` on uvicorn. `writes_itself`: the app's own POST /write changes the rows, not
    somebody outside. `patience`: seconds after which "by time" looks again. `unobservable`:
    columns that cannot be observed here, and why. `browser` makes what looks at the page, where
    that keeps anything of its own. `every_worker`: a look asks all workers, and the stalest answer
    counts. `within`: seconds for which the fault lasts by itself; a trial that has not been judged
    by then is repeated.
    """

    id: str
    title: str
    fix: str
    build: Callable[[World], Site]
    engine: EngineName = "postgresql"
    server: Serving = "threads"
    size: int = 1
    writes_itself: bool = False
    patience: float = 1.5
    unobservable: Mapping[str, str] = field(default_factory=dict)
    browser: "Callable[[], requests.Session] | None" = None
    every_worker: bool = False
    within: float | None = None


@dataclass(frozen=True)
class NotRun:
    """A known cause that has no experiment here, and why."""

    id: str
    title: str
    fix: str
    reason: str
