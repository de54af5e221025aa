"""What one can find out about a stale page of one's own, and which of it tells causes apart."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from freshledger.diagnosis.matrix import Row
from freshledger.diagnosis.tables import AFTER
from freshledger.diagnosis.verdict import Observation, fit

Known = bool | None
"""Yes or no; None where a cause was not, or cannot be, observed in that, or shows either."""


@dataclass(frozen=True)
class Fact:
    """A question about one's own app with a yes or a no, and `how` to find that out there.

    `of` says what a cause answers; `inside`: finding it out takes a change of the app's code.
    """

    name: str
    question: str
    how: str
    of: Callable[[Row], Known]
    inside: bool = False


def _column(name: str) -> Callable[[Row], Known]:
    return lambda row: {"yes": True, "no": False}.get(row.cells[name].value)


def _observation(name: Observation) -> Callable[[Row], Known]:
    return lambda row: {"yes": True, "no": False}.get(fit(row)[name])


def _answered(row: Row) -> Known:
    return row.stale.answered if row.stale else None


def _flips(row: Row) -> Known:
    return row.stale.flips if row.stale else None


def _truth(row: Row) -> Known:
    return row.stale.truth == AFTER if row.stale else None


def _wire(row: Row) -> Known:
    return row.stale.wire == AFTER if row.stale and row.stale.wire is not None else None


def _stale_in_spite(row: Row) -> Known:
    return {"yes": False, "no": True}.get(row.cells["view"].value)


OBSERVED = (
    Fact(
        "O1",
        "Is the page stale until another function of the app uses the database, however long "
        "you wait?",
        "Make a change that the page tends to miss, the way it is usually made; load the page, wait "
        "a minute, load it again; then use the app.",
        _observation("O1"),
    ),
    Fact(
        "O2",
        "Is the page right after another function of the app has changed the database?",
        "Change anything by the app itself, then load the page.",
        _observation("O2"),
    ),
    Fact(
        "O3",
        "Were db.session.remove() and db.session.expire_all() called, and the page is stale?",
        "Call both, wherever in the app you would; load the page.",
        _observation("O3"),
    ),
)
"""What somebody saw whose page is stale, as questions."""

FACTS = (
    Fact(
        "view",
        "Is the page still stale when its own view calls remove() and expire_all() before it "
        "reads?",
        "Make db.session.remove(); db.session.expire_all() the first lines of the view.",
        _stale_in_spite,
    ),
    Fact(
        "select",
        "Does the stale page send a SELECT of its table?",
        "Run the app with SQLALCHEMY_ECHO = True (create_engine(…, echo=True)), load the stale "
        "page: is the SELECT in the log?",
        _column("select"),
    ),
    Fact(
        "missing",
        "Are new rows missing from the page?",
        "Add a row the way new ones usually come, load the page: is the row absent?",
        _column("missing"),
    ),
    Fact(
        "old",
        "Does the page show old values of rows that it had before?",
        "Change a row that the page shows, the way it is usually changed, and load the page: is the "
        "old value there?",
        _column("old"),
    ),
    Fact(
        "truth",
        "Does a new transaction see the change while the page is stale?",
        'psql "$DATABASE_URL" -c "SELECT id, status FROM transactions ORDER BY id DESC LIMIT 5"',
        _truth,
    ),
    Fact(
        "process",
        "Does a new process cure it?",
        "Restart the app, all of its workers, and change nothing else; load the page.",
        _column("process"),
    ),
    Fact(
        "answered",
        "Does the request for the stale page reach the app?",
        "Load the stale page: does the server's access log get a line, with status 200?",
        _answered,
    ),
    Fact(
        "flips",
        "Is the page now right and now stale when it is loaded several times?",
        "Load the stale page ten times, and change nothing in between.",
        _flips,
    ),
    Fact(
        "own",
        "Is it also cured by a function of the app that has a session of its own?",
        "Add a view that does `with Session(db.engine) as s: …; s.commit()`; use it, then load "
        "the page.",
        _column("own"),
        inside=True,
    ),
    Fact(
        "wire",
        "Does the session that the page reads with answer a plain SELECT with the change?",
        'In the view: session.execute(text("SELECT id, status FROM transactions ORDER BY id '
        "DESC LIMIT 5\")).all(), with the page's own session; print it.",
        _wire,
        inside=True,
    ),
    Fact(
        "expire_all",
        "Does expire_all() help when it is called on the very session that the page reads?",
        "In the view: s = sqlalchemy.orm.object_session(one of the page's objects); "
        "s.expire_all(); query again. (No session: no.)",
        _column("expire_all"),
        inside=True,
    ),
    Fact(
        "remove",
        "Does ending the transaction help when it is done on the very session that the page reads?",
        "In the view: s = sqlalchemy.orm.object_session(one of the page's objects); s.close(); "
        "query again. (No session: no.)",
        _column("remove"),
        inside=True,
    ),
    Fact(
        "time",
        "Does the page become right by itself?",
        "Change nothing, use nothing; load the page again after some seconds, and after an hour.",
        _column("time"),
    ),
)
"""What can be found out beside that."""


@dataclass(frozen=True)
class Question:
    """A fact with the ids of those that answer it with yes, with no, or not."""

    fact: Fact
    yes: tuple[str, ...]
    no: tuple[str, ...]
    either: tuple[str, ...]


def choose_questions(
    rows: Sequence[Row], facts: Iterable[Fact] = FACTS, *, limit: int = 3
) -> list[Question]:
    """Return the facts that tell most of these causes apart, the best first.

    What can be seen from outside comes before what takes a change of the app's code.
    """
    pairs = list(combinations(rows, 2))
    chosen: list[Question] = []
    for left in _by_cost(facts):
        while len(chosen) < limit:
            best = max(left, key=lambda fact: _parted(fact, pairs), default=None)
            if best is None or not _parted(best, pairs):
                break
            pairs = [pair for pair in pairs if not _apart(best, pair)]
            left.remove(best)
            chosen.append(_ask(best, rows))
    return chosen


def group(rows: Iterable[Row], questions: Sequence[Question]) -> list[tuple[Row, ...]]:
    """Return those that the questions leave together."""
    groups: dict[tuple[Known, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(each.fact.of(row) for each in questions), []).append(row)
    return [tuple(together) for together in groups.values()]


def _by_cost(facts: Iterable[Fact]) -> tuple[list[Fact], list[Fact]]:
    known = list(facts)
    return [fact for fact in known if not fact.inside], [fact for fact in known if fact.inside]


def _parted(fact: Fact, pairs: Iterable[tuple[Row, Row]]) -> int:
    return sum(_apart(fact, pair) for pair in pairs)


def _apart(fact: Fact, pair: tuple[Row, Row]) -> bool:
    return {fact.of(row) for row in pair} == {True, False}


def _ask(fact: Fact, rows: Iterable[Row]) -> Question:
    ids: dict[Known, list[str]] = {True: [], False: [], None: []}
    for row in rows:
        ids[fact.of(row)].append(row.id)
    return Question(fact, tuple(ids[True]), tuple(ids[False]), tuple(ids[None]))
