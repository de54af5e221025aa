"""One cause under experiment: what its page shows after a write, and what cures it.

Each trial begins anew: fresh rows, a fresh process of the app, its page looked at until the
fault has taken hold; then the write, the stale look, one thing done about it, a second look.
"""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import requests
from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import NullPool

from freshledger.diagnosis import copies
from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import HEADER, LOOK, REMEDY, Evidence
from freshledger.diagnosis.hosting import hosted
from freshledger.diagnosis.tables import AFTER, BEFORE, QUESTION, Base, Rows, fill, write

SECONDS = 20
"""How long one request may take."""


class Broken(Exception):
    """An experiment did not do what it must before anything can be seen."""


class Look(msgspec.Struct, frozen=True):
    """The three copies at one look, and how the page came to be.

    `answered` is False where the page was made for another request: nothing was sent.
    """

    page: Rows
    wire: Rows | None
    truth: Rows
    truth_by: str
    answered: bool
    process: int
    thread: str
    sent: tuple[dict[str, str], ...]

    @property
    def missing(self) -> bool:
        """Whether a new row is not on the page."""
        return not {id_ for id_, _ in AFTER} <= {id_ for id_, _ in self.page}

    @property
    def old(self) -> bool:
        """Whether a row is shown with a value that it has no more."""
        return not set(self.page) <= set(AFTER)

    @property
    def stale(self) -> bool:
        """Whether the page shows anything but the latest state."""
        return self.page != AFTER

    @property
    def selected(self) -> bool:
        """Whether a SELECT was sent for it."""
        return self.answered and any(_is_select(sent["sql"]) for sent in self.sent)


def _is_select(sql: str) -> bool:
    return sql.upper().startswith(("SELECT", "WITH"))


Value = Literal["yes", "no", "partly", "not observable"]


class Cell(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing observed, with the looks that show it; or the `reason` why it cannot be."""

    value: Value
    before: Look | None = None
    after: Look | None = None
    reason: str = ""


@dataclass
class Visit:
    """A running app, somebody outside who writes, and somebody who looks at its page."""

    cause: Cause
    address: str
    engine: Engine
    browser: requests.Session

    def look(self, remedy: str = "") -> Look:
        """Look at the page; `remedy` is called in the request, before it reads."""
        number = uuid.uuid4().hex
        headers = {LOOK: number} | ({REMEDY: remedy} if remedy else {})
        answer = self.browser.get(f"{self.address}/page", headers=headers, timeout=SECONDS)
        answer.raise_for_status()
        told = msgspec.json.decode(answer.headers[HEADER], type=Evidence)
        truth, by = copies.read_truth(self.engine.url, QUESTION)
        page = msgspec.convert(answer.json()["transactions"], Rows)
        answered = told.look == number
        return Look(
            page, told.wire if answered else None, truth, by, answered,
            told.process, told.thread, told.sent if answered else (),
        )  # fmt: skip

    def post(self, name: str) -> None:
        """Use another function of the app."""
        self.browser.post(f"{self.address}/{name}", timeout=SECONDS).raise_for_status()

    def write(self) -> None:
        """Change the rows, as somebody outside or, where the cause is in it, by the app itself."""
        if self.cause.writes_itself:
            self.post("write")
        else:
            with self.engine.begin() as connection:
                write(connection)


Act = Callable[[Visit], Look]
"""Does one thing about a stale page, and looks again."""


def _remedy(name: str) -> Act:
    return lambda visit: visit.look(name)


def _use(name: str) -> Act:
    def act(visit: Visit) -> Look:
        visit.post(name)
        return visit.look()

    return act


def _wait(visit: Visit) -> Look:
    time.sleep(visit.cause.patience)
    return visit.look()


CURES: dict[str, Act] = {
    "expire_all": _remedy("expire_all"),
    "remove": _remedy("remove"),
    "elsewhere": _remedy("elsewhere"),
    "same": _use("same"),
    "own": _use("own"),
    "time": _wait,
}
"""What is tried in the running process; a new process is tried beside them."""

SEEN = ("missing", "old", "select")
COLUMNS = (*SEEN, *CURES, "process")
"""The matrix's columns; the first three are read off the stale page itself."""


class Experiment:
    """A cause with a database of its own; `folder` is for what its app keeps beside that."""

    def __init__(self, cause: Cause, url: str, folder: Path) -> None:
        self.cause = cause
        self._url = url
        self._folder = folder
        self._trials = 0
        self._engine = create_engine(url, poolclass=NullPool)
        Base.metadata.create_all(self._engine)

    def run(self, done: Callable[[], None] = lambda: None) -> dict[str, Cell]:
        """Fill the cause's row of the matrix; `done` is called after each trial.

        Raises Broken where the fault does not show, or the healed twin is stale too.
        """
        self._check_the_twin()
        done()
        cells = {}
        for name, act in CURES.items():
            cells[name] = self._try(name, act)
            done()
        cells["process"] = self._try_a_new_process()
        done()
        stale = next(cell.before for cell in cells.values() if cell.before)
        seen = {"missing": stale.missing, "old": stale.old, "select": stale.selected}
        return {
            name: Cell("yes" if seen[name] else "no", stale) if name in seen else cells[name]
            for name in COLUMNS
        }

    def _check_the_twin(self) -> None:
        with self._visit(self._world(healed=True)) as visit:
            visit.write()
            for _ in range(visit.cause.looks):
                if (look := visit.look()).stale:
                    raise Broken(f"{self.cause.id}: the healed twin is stale: {look}")

    def _try(self, name: str, act: Act) -> Cell:
        if reason := self.cause.unobservable.get(name):
            return Cell("not observable", reason=reason)
        with self._visit(self._world()) as visit:
            before = self._see_it_stale(visit)
            return _judge(before, act(visit))

    def _try_a_new_process(self) -> Cell:
        if reason := self.cause.unobservable.get("process"):
            return Cell("not observable", reason=reason)
        world = self._world()
        with self._visit(world) as visit:
            before = self._see_it_stale(visit)
        with self._visit(world, warm=False) as visit:
            return _judge(before, visit.look())

    def _see_it_stale(self, visit: Visit) -> Look:
        visit.write()
        looks = [visit.look()]
        while not looks[-1].stale:
            if len(looks) == self.cause.looks:
                raise Broken(f"{self.cause.id}: the page is not stale after the write: {looks[-1]}")
            looks.append(visit.look())
        return looks[-1]

    def _world(self, *, healed: bool = False) -> World:
        """Begin anew: fresh rows, an empty folder."""
        self._trials += 1
        folder = self._folder / f"{self._trials}"
        folder.mkdir(parents=True)
        with self._engine.begin() as connection:
            fill(connection)
        return World(self._url, folder, healed)

    @contextmanager
    def _visit(self, world: World, *, warm: bool = True) -> Iterator[Visit]:
        with hosted(self.cause, world) as address, requests.Session() as browser:
            visit = Visit(self.cause, address, self._engine, browser)
            for _ in range(2 if warm else 0):
                if (look := visit.look()).page != BEFORE:
                    raise Broken(f"{self.cause.id}: the page is wrong before any write: {look}")
            yield visit


def _judge(before: Look, after: Look) -> Cell:
    better = (before.missing, before.old) != (after.missing, after.old)
    value: Value = "partly" if better else "no"
    return Cell(value if after.stale else "yes", before, after)
