"""Matrices made by hand: what was observed, in one line for each cause."""

from freshledger.diagnosis.looks import COLUMNS, SEEN, Cell, Look
from freshledger.diagnosis.matrix import Matrix, Row
from freshledger.diagnosis.tables import AFTER, BEFORE, Rows

SIGNS = {"y": "yes", "n": "no", "~": "partly", "-": "not observable"}


def look(page: Rows = BEFORE, wire: Rows | None = BEFORE, truth: Rows = AFTER, **seen) -> Look:
    """What a page shows that stays as it was before the write, unless it is said otherwise."""
    told = {"truth_by": "backend 1", "answered": True, "process": 7, "thread": "t", "sent": ()}
    return Look(page, wire, truth, **(told | seen))


def row(name: str, cells: str, *, stale: Look | None = None) -> Row:
    """`cells` are the columns in their order, with spaces where one likes."""
    signs = cells.replace(" ", "")
    assert len(signs) == len(COLUMNS), f"{name}: {cells}"
    values = [SIGNS[sign] for sign in signs]
    stale = stale or look()
    observed = {
        column: Cell(value, reason="it cannot be seen") if value == "not observable"
        else Cell(value, look(truth=BEFORE), stale) if column in SEEN
        else Cell(value, stale, look(AFTER, AFTER) if value == "yes" else stale)
        for column, value in zip(COLUMNS, values, strict=True)
    }  # fmt: skip
    return Row(name, f"the page of {name}", f"mend {name}", "sqlite", observed)


def matrix(*rows: Row) -> Matrix:
    return Matrix(rows, {"SQLite": "3"})


#                       new old SEL, expire_all remove view elsewhere, same own, time process
CAPTURED = row("A1", "yyy nynn yn ny")
SNAPSHOT = row("B1", "yyy nyyn yn ny")
HELD = row("C1", "nyy yyyn yn ny")
UNCOMMITTED = row("D1", "yyy nnnn yn nn", stale=look(truth=BEFORE))
CACHED = row("E1", "yyn nnnn yy ny", stale=look(wire=None))
FROZEN = row("F1", "ynn nnnn nn ny", stale=look(wire=AFTER))
BRIEF = row("H1", "yyn nnnn yy yn", stale=look(wire=None, answered=False))
REACHED = row("C2", "nyy yyyy yn ny")
ALL = matrix(CAPTURED, SNAPSHOT, HELD, REACHED, UNCOMMITTED, CACHED, FROZEN, BRIEF)
