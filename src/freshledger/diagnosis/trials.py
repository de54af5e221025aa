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

import msgspec
import requests
from msgspec.structs import replace
from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import NullPool

from freshledger.diagnosis import copies
from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import HEADER, LOOK, REMEDY, Evidence
from freshledger.diagnosis.hosting import hosted
from freshledger.diagnosis.looks import COLUMNS, SEEN, Cell, Look, Value
from freshledger.diagnosis.tables import BEFORE, QUESTION, Base, Rows, fill, write

SECONDS = 20
"""How long one request may take."""

RELOADS = 200
"""How often the page is asked for at most until each worker has answered."""

ATTEMPTS = 4
"""How often a trial is begun at most whose fault went by before it was judged."""


class Broken(Exception):
    """An experiment did not do what it must before anything can be seen."""


class Late(Exception):
    """A look came when the fault may have gone by itself."""


@dataclass
class Visit:
    """A running app, somebody outside who writes, and somebody who looks at its page.

    It `began` at that moment of the monotonic clock.
    """

    cause: Cause
    address: str
    engine: Engine
    browser: requests.Session
    began: float
    fresh: Look | None = None
    """The last look before the write."""

    @property
    def port(self) -> int:
        """Where the app is served; for what a browser keeps, a new process must be there too."""
        return int(self.address.rpartition(":")[2])

    def look(self, remedy: str = "") -> Look:
        """Look at the page; `remedy` is called in the request, before it reads.

        Where every worker is to be looked at, the stalest page counts; raises Broken where one
        never answers.
        """
        look = self._look_once(remedy)
        looks = {look.process: look}
        if not self.cause.every_worker:
            return look
        for _ in range(RELOADS):
            if len(looks) == self.cause.size:
                stalest = max(looks.values(), key=lambda look: look.stale)
                return replace(stalest, flips=len({look.stale for look in looks.values()}) > 1)
            look = self._look_once(remedy)
            looks.setdefault(look.process, look)
        raise Broken(f"{self.cause.id}: {len(looks)} of {self.cause.size} workers ever answer")

    def _look_once(self, remedy: str) -> Look:
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

    def require_in_time(self) -> None:
        """Raise Late where the last look can no more be judged."""
        taken = time.monotonic() - self.began
        if self.cause.within is not None and taken > self.cause.within:
            raise Late(f"took {taken:.1f} s, and must be done within {self.cause.within:g} s")

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
    """Wait; for what goes by itself, once more if need be: a busy machine may be late with it."""
    time.sleep(visit.cause.patience)
    look = visit.look()
    if look.stale and visit.cause.within is not None:
        time.sleep(visit.cause.patience)
        look = visit.look()
    return look


CURES: dict[str, Act] = {
    "expire_all": _remedy("expire_all"),
    "remove": _remedy("remove"),
    "view": _remedy("view"),
    "elsewhere": _remedy("elsewhere"),
    "same": _use("same"),
    "own": _use("own"),
    "time": _wait,
}
"""What is tried in the running process; a new process is tried beside them."""


class Experiment:
    """A cause with a database of its own; `folder` is for what its app keeps beside that."""

    def __init__(self, cause: Cause, url: str, folder: Path) -> None:
        self.cause = cause
        self._url = url
        self._folder = folder
        self._trials = 0
        self._seen: dict[str, Cell] = {}
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
        cells |= self._seen
        return {name: cells[name] for name in COLUMNS}

    def _check_the_twin(self) -> None:
        with self._visit(self._world(healed=True)) as visit:
            visit.write()
            if (look := visit.look()).stale:
                raise Broken(f"{self.cause.id}: the healed twin is stale: {look}")

    def _try(self, name: str, act: Act) -> Cell:
        if reason := self.cause.unobservable.get(name):
            return Cell("not observable", reason=reason)
        return self._in_time(lambda: self._trial(act))

    def _trial(self, act: Act) -> Cell:
        with self._visit(self._world()) as visit:
            before = self._see_it_stale(visit)
            after = act(visit)
            if act is not _wait:
                visit.require_in_time()
            return _judge(before, after)

    def _try_a_new_process(self) -> Cell:
        if reason := self.cause.unobservable.get("process"):
            return Cell("not observable", reason=reason)
        return self._in_time(self._trial_of_a_new_process)

    def _trial_of_a_new_process(self) -> Cell:
        world = self._world()
        with self._visit(world) as visit:
            before = self._see_it_stale(visit)
        with self._visit(world, after=visit) as again:
            after = again.look()
            again.require_in_time()
            return _judge(before, after)

    def _in_time(self, trial: Callable[[], Cell]) -> Cell:
        """Repeat a trial that came too late; raises Broken where all do."""
        late: Late | None = None
        for _ in range(ATTEMPTS):
            try:
                return trial()
            except Late as error:
                late = error
        raise Broken(f"{self.cause.id}: a trial {late}: this machine is too busy")

    def _see_it_stale(self, visit: Visit) -> Look:
        visit.write()
        look = visit.look()
        visit.require_in_time()
        if not look.stale:
            raise Broken(f"{self.cause.id}: the page is not stale after the write: {look}")
        self._seen = self._seen or _read_off(visit.fresh, look)
        return look

    def _world(self, *, healed: bool = False) -> World:
        """Begin anew: fresh rows, an empty folder."""
        self._trials += 1
        folder = self._folder / f"{self._trials}"
        folder.mkdir(parents=True)
        with self._engine.begin() as connection:
            fill(connection)
        return World(self._url, folder, healed)

    @contextmanager
    def _visit(self, world: World, *, after: Visit | None = None) -> Iterator[Visit]:
        """Serve the app and look at it; `after` another visit, with its browser."""
        browser = after.browser if after else (self.cause.browser or requests.Session)()
        browser.trust_env = False  # a proxy of the environment's has no way to this machine
        port = after.port if after and self.cause.browser else 0
        with hosted(self.cause, world, port=port) as address, browser:
            began = after.began if after else time.monotonic()
            visit = Visit(self.cause, address, self._engine, browser, began)
            for _ in range(0 if after else 2):
                visit.fresh = look = visit.look()
                if look.page != BEFORE:
                    raise Broken(f"{self.cause.id}: the page is wrong before any write: {look}")
            yield visit


def _read_off(fresh: Look | None, stale: Look) -> dict[str, Cell]:
    """Return the cells that the stale page itself fills."""
    seen = {"missing": stale.missing, "old": stale.old, "select": stale.selected}
    return {name: Cell("yes" if seen[name] else "no", fresh, stale) for name in SEEN}


def _judge(before: Look, after: Look) -> Cell:
    worse = after.missing > before.missing or after.old > before.old
    better = (before.missing, before.old) != (after.missing, after.old) and not worse
    better = better or (after.flips and not before.flips)
    value: Value = "partly" if better else "no"
    return Cell(value if after.stale else "yes", before, after)
