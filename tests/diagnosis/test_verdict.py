"""The verdict, and the questions that part what remains: computed from nothing but the matrix."""

import re
from pathlib import Path

import pytest
from matrices import (
    ALL,
    CACHED,
    CAPTURED,
    FROZEN,
    HELD,
    SNAPSHOT,
    UNCOMMITTED,
    look,
    matrix,
    row,
)
from msgspec.structs import replace

from freshledger.diagnosis import asking, facts, verdict
from freshledger.diagnosis.facts import FACTS, choose_questions, group
from freshledger.diagnosis.matrix import Matrix, read_record
from freshledger.diagnosis.tables import AFTER
from freshledger.diagnosis.verdict import fit, judge


def ids(rows) -> list[str]:
    return [row.id for row in rows]


def test_it_sorts_the_causes():
    found = judge(ALL)
    assert ids(found.consistent) == ["A1", "D1", "E1"]
    assert ids(found.elsewhere) == ["B1", "C1"]
    excluded = {row.id: against for row, against in found.excluded}
    assert excluded == {"C2": ("O3",), "F1": ("O1", "O2"), "H1": ("O1",)}
    assert ids(found.remaining) == ["A1", "B1", "C1", "D1", "E1"]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ("yyy nyyn yn ny", ("yes", "yes", "only elsewhere")),
        ("yyy nyyn ny ny", ("yes", "yes", "only elsewhere")),  # on a session of its own
        ("yyy nyyn nn ny", ("no", "no", "only elsewhere")),  # another function does not help
        ("yyy nyyn ~~ ny", ("no", "no", "only elsewhere")),  # half cured is not cured
        ("yyy nyyn yn yy", ("no", "yes", "only elsewhere")),  # it heals alone
        ("yyy nyyn yn ~y", ("yes", "yes", "only elsewhere")),
        ("yyy nynn yn ny", ("yes", "yes", "yes")),  # the view's db.session is another session
        ("yyy nnnn yn ny", ("yes", "yes", "yes")),  # neither call helps where it reads
        ("yyy nyyy yn ny", ("yes", "yes", "no")),  # they help from anywhere
        ("yyy nyny yn ny", ("yes", "yes", "no")),
        ("yyy yn~n yn ny", ("yes", "yes", "yes")),  # half cured is not cured
        ("yyy nyyn -n ny", ("not observable", "not observable", "only elsewhere")),
        ("yyy nyyn yn -y", ("not observable", "yes", "only elsewhere")),
        ("yyy ny-n yn ny", ("yes", "yes", "not observable")),
        ("yyy nyy- yn ny", ("yes", "yes", "not observable")),
        ("yyy --nn yn ny", ("yes", "yes", "yes")),
    ],
)
def test_what_a_cause_would_show(cells, expected):
    assert tuple(fit(row("A1", cells)).values()) == expected


def test_what_was_not_run_is_not_judged():
    missing = replace(CAPTURED, cells={}, not_run="needs a MariaDB")
    assert judge(matrix(missing, SNAPSHOT)).remaining == (SNAPSHOT,)


def test_questions_part_what_remains():
    remaining = judge(ALL).remaining
    questions = choose_questions(remaining)
    assert len(questions) == 3
    together = [ids(rows) for rows in group(remaining, questions)]
    assert sorted(map(len, together)) == [1, 1, 1, 2]
    assert all(len(rows) == 1 for rows in group(remaining, choose_questions(remaining, limit=9)))


def test_what_takes_a_change_of_the_code_is_asked_last():
    alike = row("A3", "yyy nnnn yn ny"), row("A4", "yyy nnnn yy ny")
    questions = choose_questions([*alike, *judge(ALL).remaining], limit=9)
    order = [question.fact.inside for question in questions]
    assert order == sorted(order)
    assert True in order
    assert False in order


def test_a_question_says_who_answers_what():
    (question,) = choose_questions([CAPTURED, UNCOMMITTED, CACHED], limit=1)
    answers = {
        fact.name: {row.id: fact.of(row) for row in (CAPTURED, UNCOMMITTED, CACHED)}
        for fact in FACTS
    }
    of = answers[question.fact.name]
    assert set(question.yes) == {name for name, known in of.items() if known}
    assert set(question.no) == {name for name, known in of.items() if known is False}
    assert question.either == ()


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("truth", UNCOMMITTED, CAPTURED),
        ("wire", SNAPSHOT, replace(FROZEN, id="F2")),
        ("select", CAPTURED, CACHED),
        ("missing", HELD, SNAPSHOT),
    ],
)
def test_facts_are_read_off_the_matrix(name, one, other):
    (fact,) = [fact for fact in FACTS if fact.name == name]
    assert {fact.of(one), fact.of(other)} == {True, False}


def test_where_the_calls_were_made_parts_a_captured_session_from_a_snapshot():
    (question,) = choose_questions(
        [SNAPSHOT, CAPTURED], [fact for fact in FACTS if fact.name == "view"]
    )
    assert (question.yes, question.no) == (("A1",), ("B1",))


def test_what_nobody_knows_parts_nothing():
    unknown = row("A2", "--- ---- -- --", stale=look(wire=None))
    same = row("A3", "--- ---- -- --", stale=look(wire=None))
    assert choose_questions([unknown, same]) == []
    assert choose_questions([CAPTURED]) == []


def test_a_changed_cell_changes_the_verdict():
    """A planted fault: would the rules not look, nothing would change."""
    healed = look(AFTER, AFTER)
    for name in ("time", "elsewhere"):
        cells = {**CAPTURED.cells, name: replace(CAPTURED.cells[name], value="yes", after=healed)}
        planted = replace(CAPTURED, cells=cells)
        assert judge(matrix(planted)).consistent == ()


def test_it_knows_no_cause_by_name():
    for module in (verdict, facts, asking):
        text = Path(module.__file__).read_text()
        assert re.findall(r"\b[A-H]\d\b", text) == []


def test_the_verdict_of_the_record_does_not_hang_on_names():
    record = read_record()
    renamed = Matrix(tuple(replace(row, id=f"X{row.id}") for row in record.rows), record.versions)
    here, there = judge(record), judge(renamed)
    assert [f"X{name}" for name in ids(here.consistent)] == ids(there.consistent)
    assert here.consistent
    assert here.elsewhere
    assert here.excluded
