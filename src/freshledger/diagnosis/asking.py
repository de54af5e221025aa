"""Narrows the causes down by what somebody finds out about an app of their own.

It works on the record alone: nothing is run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from freshledger.diagnosis.facts import FACTS, OBSERVED, Fact, Known, choose_questions
from freshledger.diagnosis.matrix import Row

Ask = Callable[[Fact, int], Known]
"""Asks somebody a fact, told how many causes remain; None: not known. Raises Ended."""


class Ended(Exception):
    """Whoever is asked wants no more questions."""


@dataclass(frozen=True)
class Finding:
    """What was answered, and the causes that answer all of it so, or may."""

    rows: tuple[Row, ...]
    answers: tuple[tuple[Fact, bool], ...] = ()

    def without(self, number: int, rows: Sequence[Row]) -> tuple[Row, ...]:
        """Return what of `rows` would remain but for one answer."""
        others = (*self.answers[:number], *self.answers[number + 1 :])
        return tuple(row for row in rows if all(_fits(row, *answer) for answer in others))


@dataclass
class Inquiry:
    """The questions to one person about one app."""

    finding: Finding
    left: list[Fact] = field(default_factory=lambda: [*OBSERVED, *FACTS])

    def run(self, ask: Ask) -> Finding:
        """Ask until one cause remains, nothing tells the rest apart, or it is ended."""
        while fact := self._next():
            self.left.remove(fact)
            try:
                answer = ask(fact, len(self.finding.rows))
            except Ended:
                break
            if answer is not None:
                self.finding = _narrow(self.finding, fact, answer=answer)
        return self.finding

    def _next(self) -> Fact | None:
        """Return the next question: what was seen first, then what tells most apart."""
        seen = [fact for fact in self.left if fact in OBSERVED]
        for facts in (*([fact] for fact in seen), self.left):
            if best := choose_questions(self.finding.rows, facts, limit=1):
                return best[0].fact
        return None


def _narrow(finding: Finding, fact: Fact, *, answer: bool) -> Finding:
    rows = tuple(row for row in finding.rows if _fits(row, fact, answer))
    return replace(finding, rows=rows, answers=(*finding.answers, (fact, answer)))


def _fits(row: Row, fact: Fact, answer: bool) -> bool:  # noqa: FBT001 - the pair that it is kept in
    return fact.of(row) in {None, answer}
