"""What the matrix says of three observations: which causes explain them all, which do not.

Pure functions over what was observed; no cause is named here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from freshledger.diagnosis.matrix import Matrix, Row

Answer = Literal["yes", "no", "only elsewhere", "not observable"]
Observation = Literal["O1", "O2", "O3"]

OBSERVATIONS: Mapping[Observation, str] = {
    "O1": "the page is stale unless another function of the app that uses the database runs",
    "O2": "the data is right when other functions of the app change the database",
    "O3": "remove() and expire_all() were called on db.session, and it persists",
}
"""What somebody saw whose page is stale."""


@dataclass(frozen=True)
class Verdict:
    """The observed causes, by whether each observation is what they would show.

    Those of `elsewhere` remain only if the two calls were made in another thread or process than
    the page's. `excluded` names the observations that speak against each.
    """

    consistent: tuple[Row, ...]
    elsewhere: tuple[Row, ...]
    excluded: tuple[tuple[Row, tuple[Observation, ...]], ...]

    @property
    def remaining(self) -> tuple[Row, ...]:
        """All that are not excluded."""
        return tuple(sorted((*self.consistent, *self.elsewhere), key=lambda row: row.id))


def judge(matrix: Matrix) -> Verdict:
    """Sort the causes that were observed."""
    consistent, elsewhere, excluded = [], [], []
    for row in matrix.observed:
        answers = fit(row)
        if against := tuple(name for name, answer in answers.items() if answer == "no"):
            excluded.append((row, against))
        elif "only elsewhere" in answers.values():
            elsewhere.append(row)
        else:
            consistent.append(row)
    return Verdict(tuple(consistent), tuple(elsewhere), tuple(excluded))


def fit(row: Row) -> Mapping[Observation, Answer]:
    """Tell of each observation whether this cause would show it."""
    return {name: rule(row) for name, rule in _RULES.items()}


def helped(row: Row) -> bool | None:
    """Whether another function of the app cures it, on either session; None: not observable."""
    values = {row.cells[name].value for name in ("same", "own")}
    if "yes" in values:
        return True
    return None if "not observable" in values else False


def _stale_until_helped(row: Row) -> Answer:
    healed, cured = row.cells["time"].value, helped(row)
    if healed == "yes" or cured is False:
        return "no"
    return "not observable" if cured is None or healed == "not observable" else "yes"


def _right_when_helped(row: Row) -> Answer:
    cured = helped(row)
    return "not observable" if cured is None else "yes" if cured else "no"


def _persists(row: Row) -> Answer:
    """Whether both calls on db.session do not help: in the view itself, or only elsewhere."""
    in_the_view, elsewhere = (row.cells[name].value for name in ("view", "elsewhere"))
    if elsewhere == "yes":
        return "no"
    if "not observable" in {in_the_view, elsewhere}:
        return "not observable"
    return "only elsewhere" if in_the_view == "yes" else "yes"


_RULES: Mapping[Observation, Callable[[Row], Answer]] = {
    "O1": _stale_until_helped,
    "O2": _right_when_helped,
    "O3": _persists,
}
