"""What counts as a read under a fault, what the table says, and how a full run shares its reads."""

from dataclasses import replace

import pytest

from proof.injectors import FAULTS, Injection
from proof.records import Record, Told
from proof.tally import AFTER, Result, Tail, Times, reads_under, recovery_of, table
from proof.torture import CALM, INJECTIONS, READS, UNDER, goal_for, in_order

SECOND = 10**9


def record(kind: str, invoked: int, returned: int, outcome: str = "ok") -> Record:
    return Record("p", "c", kind, invoked, returned, outcome)


def test_a_read_counts_if_it_began_during_the_fault_or_within_two_seconds_after():
    faults = [Injection(100, 200, 200), Injection(200 + AFTER + 10, 200 + AFTER + 20, 0)]
    begun = [
        99,
        100,
        150,
        200,
        200 + AFTER,
        201 + AFTER,
        210 + AFTER,
        220 + 2 * AFTER,
        221 + 2 * AFTER,
    ]
    assert [reads_under([one], faults) for one in begun] == [0, 1, 1, 1, 1, 0, 1, 1, 0]
    assert reads_under(reversed(begun), faults) == 6
    assert reads_under(begun, []) == 0


def test_recovery_is_the_first_write_and_read_that_began_after_and_were_answered():
    fault = Injection(0, 5 * SECOND, 5 * SECOND)
    history = [
        record("edit", 4 * SECOND, 6 * SECOND),
        record("edit", 5 * SECOND, 6 * SECOND, "fail"),
        record("foreign", 5 * SECOND, 6 * SECOND),
        record("label", 6 * SECOND, 8 * SECOND),
        replace(record("event", 6 * SECOND, 6 * SECOND), told=Told("ready", 1, 7, first=True)),
        record("not_modified", 5 * SECOND, 7 * SECOND),
        replace(record("event", 9 * SECOND, 9 * SECOND), told=Told("change", 1, 8, 7)),
    ]
    assert recovery_of(fault, history) == Times(3.0, 2.0, 4.0)
    for missing in (3, 5, 6):
        with pytest.raises(AssertionError, match="never recovered"):
            recovery_of(fault, [one for place, one in enumerate(history) if place != missing])


def test_a_history_is_followed_while_it_is_written(tmp_path):
    path = tmp_path / "p.jsonl"
    tail = Tail(path)
    assert tail.new() == []
    line = b'{"kind": "%s", "invoked": 1, "returned": 2, "outcome": "%s"}\n'
    path.write_bytes(line % (b"api", b"ok") + line % (b"api", b"fail") + b'{"kind": "ev')
    assert [one.is_read for one in tail.new()] == [True, False]
    with path.open("ab") as file:
        file.write(b'ent", "invoked": 3, "returned": 3}\n')
    assert [(one.kind, one.is_read) for one in tail.new()] == [("event", True)]
    assert tail.new() == []


def test_the_table_has_a_row_for_each_fault_and_one_for_all():
    one = Result(
        "a worker killed",
        9.0,
        20,
        5000,
        4000,
        2500,
        3000,
        0,
        0,
        [Times(0.5, 0.25, 1), Times(1.5, 0.75, 2)],
    )
    none = Result(FAULTS["calm"].name, 1.0, 9, 9, 9, 4, 9, 0, 0, [])
    two = Result("another", 1.0, 1, 10, 9, 5, 8, 1, 7, [])
    rows = table([one, two, none]).splitlines()
    assert (
        rows[2] == "| a worker killed | 20 | 5,000 | 4,000 | 2,500 | 3,000 | 0 | 0 |"
        " 1.00 / 1.50 s | 0.50 / 0.75 s | 1.50 / 2.00 s |"
    )
    assert rows[5] == "| **all faults** | 21 | 5,010 | 4,009 | 2,505 | 3,008 | 1 | 7 |  |  |  |"


def test_a_full_run_reads_a_million_under_faults():
    names, reads = in_order(FAULTS), READS
    for place, name in enumerate(names):
        goal = goal_for(name, names[place:], reads)
        assert goal.injections == INJECTIONS
        if name != CALM:
            assert goal.under == UNDER
            reads = max(1, reads - max(goal.reads, UNDER))
    assert reads == 1
    assert goal_for("worker", ["worker"], READS).reads == READS
    assert goal_for("frozen", ["frozen"], READS).reads == READS
