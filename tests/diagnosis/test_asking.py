"""The questions to somebody about an app of their own."""

import pytest
from matrices import ALL, CACHED, row

from freshledger.diagnosis.asking import Ended, Finding, Inquiry
from freshledger.diagnosis.facts import FACTS, OBSERVED, Fact, choose_questions
from freshledger.diagnosis.matrix import Row, read_record

RECORDED = tuple(read_record().observed)


def inquire(rows, answer) -> tuple[Finding, list[str]]:
    asked = []

    def ask(fact: Fact, remaining: int):
        asked.append(fact.name)
        assert remaining > 1
        return answer(fact)

    return Inquiry(Finding(tuple(rows))).run(ask), asked


@pytest.mark.parametrize("row", [*RECORDED, *ALL.observed], ids=lambda row: row.id)
def test_true_answers_lead_to_the_cause(row: Row):
    rows = RECORDED if row in RECORDED else tuple(ALL.observed)
    finding, _ = inquire(rows, lambda fact: fact.of(row))
    assert row in finding.rows
    assert choose_questions(finding.rows, [fact for fact, _ in finding.answers]) == []


def test_it_asks_for_what_was_seen_first_and_never_twice():
    _, asked = inquire(RECORDED, lambda _: None)
    assert asked[0] == "O1"
    assert len(asked) == len(set(asked))
    assert set(asked) <= {fact.name for fact in (*OBSERVED, *FACTS)}


def test_not_known_excludes_nothing():
    finding, _ = inquire(RECORDED, lambda _: None)
    assert finding == Finding(RECORDED)


def test_what_could_not_be_observed_is_not_excluded():
    unseen = row("A9", "--- nyyn yn ny")
    (select,) = [fact for fact in FACTS if fact.name == "select"]
    kept = Finding((), ((select, False), (select, True))).without(0, [unseen, CACHED])
    assert kept == (unseen,)


def test_it_can_be_ended():
    answers = iter([True])

    def answer(_fact):
        try:
            return next(answers)
        except StopIteration:
            raise Ended from None

    finding, asked = inquire(RECORDED, answer)
    assert len(asked) == 2
    assert 1 < len(finding.rows) < len(RECORDED)


def test_answers_that_no_cause_gives_name_the_one_too_many():
    rows = tuple(ALL.observed)
    known = {fact.name: fact for fact in (*OBSERVED, *FACTS)}
    answers = ((known["O1"], True), (known["select"], False), (known["missing"], False))
    contradiction = Finding((), answers)
    kept = [[row.id for row in contradiction.without(number, rows)] for number in range(3)]
    assert kept == [[], ["C1", "C2"], ["E1"]]
