"""The checker lets good histories pass, and names what is wrong with a bad one of each kind."""

from dataclasses import replace
from decimal import Decimal
from itertools import chain

import pytest

from proof import checker
from proof.checker import RULES, Rule, check, report
from proof.records import (
    Change,
    Record,
    Recorder,
    Row,
    Shown,
    Told,
    created,
    deleted,
    field_of,
    linked,
    plain,
    read_records,
    unlinked,
    value_set,
)
from proof.truth import Noted, replay

ANN, ELSEWHERE = "user:1", "psql"


def movement(note: str = "", amount: str = "1", version: int = 1) -> dict:
    return {"note": note, "amount": Decimal(amount), "version": version, "asset": "BTC",
            "status": "confirmed"}  # fmt: skip


def updated(version: int, actor: str, edits: dict[int, tuple[int, dict]]) -> Noted:
    """Movements that became something; {id: (row version before, columns)}."""
    ids = tuple(edits)
    before = tuple({"version": was} for was, _ in edits.values())
    after = tuple({"version": was + 1, **columns} for was, columns in edits.values())
    return Noted(version, actor, "transactions", "U", ids, before, after)


def tagged(version: int, operation: str, *ids: int) -> Noted:
    links = tuple({"label_id": 7} for _ in ids)
    sides = (None, links) if operation == "I" else (links, None)
    return Noted(version, ANN, "transaction_labels", operation, ids, *sides)


NOTED = (
    Noted(1, ANN, "transactions", "I", (1, 2), None, (movement(), movement(amount="2.50"))),
    Noted(2, ANN, "labels", "I", (7,), None, ({"name": "rent"},)),
    updated(3, ANN, {1: (1, {"note": "a"})}),
    tagged(4, "I", 1, 2),
    updated(5, ELSEWHERE, {1: (2, {"note": "b"}), 2: (1, {"note": "b"})}),
    updated(6, ANN, {1: (3, {"amount": Decimal("4.0")})}),
    Noted(7, ANN, "transactions", "I", (3,), None, (movement("new"),)),
    Noted(8, ANN, "labels", "U", (7,), ({"name": "rent"},), ({"name": "home"},)),
    tagged(9, "D", 1),
    Noted(10, ANN, "transactions", "D", (3,), (movement("new"),), None),
)
TRUTH = replay((noted.version, [noted]) for noted in NOTED)
LAST = 10


def write(kind, effects: tuple[str, ...], start: int, end: int, **more) -> Record:
    return Record("p", "writer", kind, start, end, effects=effects, **more)


WRITES = {
    3: write("edit", (value_set(1, "note", "a"),), 30, 35, row=1, base=1, answered=2),
    4: write("bulk", (linked(1, 7), linked(2, 7)), 40, 45),
    5: write("foreign", (value_set(1, "note", "b"), value_set(2, "note", "b")), 50, 55),
    # It named the version before the note was changed, and touched another column: a merge.
    6: write("edit", (value_set(1, "amount", "4"),), 60, 65, row=1, base=2, answered=4),
    7: write("create", (created("transactions", "new"),), 70, 75),
    9: write("label", (unlinked(1, 7),), 90, 95),
    10: write("delete", (deleted("transactions", 3),), 100, 105, outcome="unknown"),
}
REFUSED = write("edit", (value_set(1, "note", "refused"),), 80, 85, row=1, outcome="fail")


def shown(version: int) -> Shown:
    count, sums = TRUTH.sums[version]
    return Shown(version, TRUTH.state(version), whole=True, count=count, sums=sums)


def read(version: int, start: int, end: int, kind="page", **changes) -> Record:
    return Record(
        "q", "reader", kind, start, end, shown=replace(shown(version), **changes)
    )  # fmt: skip


def event(name: str, version: int, at: int, since: int | None = None, **more) -> Record:
    told = ()
    if since is not None:
        told = tuple(chain.from_iterable(TRUTH.changes[v] for v in range(since + 1, version + 1)))
    stream, begun = more.pop("stream", 1), more.pop("begun", at)
    told = Told(name, stream, version, since, told, **more)
    return Record("q", "live", "event", begun, at, told=told)


READS = (
    read(3, 31, 39), read(3, 41, 44, "api"), read(4, 41, 49, "not_modified", rows={}, whole=False,
    count=None, sums=None), read(6, 61, 66), read(6, 66, 69), read(9, 96, 99), read(10, 101, 104),
)  # fmt: skip
EVENTS = (
    event("ready", 3, 38, begun=36, first=True, asked=3), event("change", 5, 56, since=3),
    event("resync", 6, 66, stream=2, begun=64, first=True, asked=2),
    event("change", 9, 98, since=7, stream=4, begun=96, first=True, asked=7),
    event("change", 10, 106, since=6, stream=2),
)  # fmt: skip
SETTLED = read(10, 106, 110, "settled")
GOOD = (*WRITES.values(), REFUSED, *READS, *EVENTS, SETTLED)


def test_a_good_history_passes():
    assert report(check(GOOD, TRUTH)) == ""


ROW = Row(9, "never", "1", ())
AT_6 = TRUTH.state(6)
LOST = (value_set(2, "note", "lost"),)
BAD: dict[str, tuple[Rule, str, list[Record]]] = {
    "stale": (checker.no_stale_read, "stale read", [read(5, 66, 67)]),
    "a 304 from before": (
        checker.no_stale_read, "stale read", [read(5, 66, 67, "not_modified", rows={}, whole=False)],
    ),
    "backwards": (checker.monotonic, "not monotonic", [read(2, 32, 33), read(1, 34, 36)]),
    "told too early": (checker.events_follow_commits, "event before commit",
                       [event("ready", 7, 71), read(6, 72, 73)]),
    "writes in disorder": (checker.versions_in_order, "write order",
                           [write("edit", (value_set(1, "note", "a"),), 56, 58)]),
    "after the last": (checker.nothing_from_nowhere, "ghost", [event("resync", 11, 120)]),
    "not begun": (checker.nothing_from_nowhere, "ghost", [read(6, 56, 59)]),
    "never was": (checker.whole_pages, "ghost", [read(6, 66, 67, rows=AT_6 | {1: ROW})]),
    "of another version": (checker.whole_pages, "fractured page",
                           [read(6, 66, 67, rows=AT_6 | {2: TRUTH.row(2, 4)})]),
    "a row is missing": (checker.whole_pages, "fractured page",
                         [read(6, 66, 67, rows={1: AT_6[1]})]),
    "a row that is gone": (checker.whole_pages, "fractured page",
                           [read(10, 106, 107, rows=TRUTH.state(9))]),
    "another count": (checker.whole_pages, "fractured page", [read(6, 66, 67, count=3)]),
    "other sums": (checker.whole_pages, "fractured page",
                   [read(6, 66, 67, sums=TRUTH.sums[5][1])]),
    "a live page of two versions": (checker.whole_pages, "fractured page",
                                    [read(10, 106, 107, "settled", count=3)]),
    "lost": (checker.no_lost_edit, "lost edit", [write("edit", LOST, 106, 107)]),
    "made on an older row": (checker.no_lost_edit, "lost edit", [replace(WRITES[3], base=5)]),
    "overwritten by its own field": (
        checker.no_lost_edit, "lost edit",
        [write("edit", (value_set(1, "note", "b"),), 50, 55, row=1, base=1)],
    ),
    "answered another version": (checker.no_lost_edit, "ghost", [replace(WRITES[3], answered=3)]),
    "refused and done": (checker.no_lost_edit, "refused edit",
                         [replace(WRITES[9], outcome="fail")]),
    "answered otherwise": (checker.done_once, "done twice",
                           [replace(WRITES[3], same_again=False)]),
    "given up": (checker.no_lost_edit, "abandoned edit", [write("edit", LOST, 6, 7, outcome="left")]),
    "in parts": (checker.no_lost_edit, "torn edit",
                 [write("bulk", (value_set(2, "note", "b"), *LOST), 50, 55, outcome="unknown")]),
    "in two versions": (checker.no_lost_edit, "torn edit",
                        [write("bulk", (linked(1, 7), value_set(2, "note", "b")), 40, 55)]),
    "a version is skipped": (checker.events_chain, "gap in events",
                             [event("ready", 3, 120, stream=3),
                              event("change", 6, 121, since=4, stream=3)]),
    "a step without a change": (checker.events_chain, "gap in events",
                                [event("ready", 3, 120, stream=3),
                                 event("resync", 6, 121, stream=3)]),
    "it begins later than it was asked": (
        checker.events_chain, "gap in events",
        [event("change", 6, 121, since=4, stream=3, begun=120, first=True, asked=3)],
    ),
    "ready for another version": (
        checker.events_chain, "gap in events",
        [event("ready", 6, 121, stream=3, begun=120, first=True, asked=3)],
    ),
    "ready too early": (checker.streams_begin_now, "stale stream",
                        [event("ready", 5, 68, stream=3, begun=66, first=True, asked=5)]),
    "a change of nothing": (checker.events_chain, "gap in events",
                            [event("change", 3, 120, since=3, stream=3)]),
    "a change is left out": (checker.events_chain, "gap in events",
                             [replace(EVENTS[1], told=replace(EVENTS[1].told, changes=()))]),
    "another change is told": (
        checker.events_chain, "gap in events",
        [replace(EVENTS[1], told=replace(EVENTS[1].told, changes=(
            *EVENTS[1].told.changes, Change(4, ANN, "wallets", "U", 1))))],
    ),
    "left behind": (checker.live_pages_converge, "not converged", [read(9, 106, 107, "settled")]),
    "nothing to see": (checker.live_pages_converge, "not converged",
                       [replace(SETTLED, shown=None)]),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_history_is_caught_by_its_rule_alone(name: str):
    rule, called, records = BAD[name]
    history = (*GOOD, *records)
    assert {one.rule for one in check(history, TRUTH, [rule])} == {called}
    assert called in report(check(history, TRUTH))
    others = [other for other in RULES if other is not rule]
    assert called not in {one.rule for one in check(history, TRUTH, others)}


def test_every_rule_has_a_bad_history():
    assert {rule for rule, _, _ in BAD.values()} == set(RULES)


def test_what_is_in_the_record_twice_was_done_twice():
    again = updated(LAST + 1, ANN, {1: (4, {"note": "a"})})
    truth = replay((noted.version, [noted]) for noted in (*NOTED, again))
    found = check([WRITES[3]], truth, [checker.done_once])
    assert [one.rule for one in found] == ["done twice"]


def test_a_value_that_is_as_it_was_seen_is_no_lost_edit():
    """The note went from b to c and back: who has seen b has seen all there is to lose."""
    more = ({1: (4, {"note": "c"})}, {1: (5, {"note": "b"})}, {1: (6, {"note": "d"})})
    steps = [updated(LAST + turn, ANN, edits) for turn, edits in enumerate(more, start=1)]
    truth = replay((noted.version, [noted]) for noted in (*NOTED, *steps))
    edit = write("edit", (value_set(1, "note", "d"),), 130, 131, row=1, base=4)
    assert check([edit], truth) == []
    lost = replace(edit, base=5)
    assert [one.rule for one in check([lost], truth)] == ["lost edit"]


def test_an_unknown_write_may_be_there_or_not():
    absent = write("edit", LOST, 106, 107, outcome="unknown")
    present = replace(WRITES[3], outcome="unknown")
    assert check([*READS, absent, present], TRUTH) == []


def test_a_sentence_names_both_operations():
    (found,) = check([WRITES[3], read(2, 36, 37)], TRUTH, [checker.no_stale_read])
    assert "reader@q page" in found.sentence
    assert "writer@p edit" in found.sentence


def test_the_truth_is_replayed():
    assert TRUTH.last == LAST
    assert TRUTH.state(1) == {1: Row(1, "", "1"), 2: Row(1, "", "2.5")}
    assert TRUTH.row(1, 8) == Row(4, "b", "4", ("home",))
    assert TRUTH.state(10) == {1: Row(4, "b", "4"), 2: Row(2, "b", "2.5", ("home",))}
    assert TRUTH.sums[7] == (3, {"BTC": "7.5"})
    with pytest.raises(AssertionError, match="a gap"):
        replay([(1, []), (3, [])])


def test_records_are_kept_as_they_happen(tmp_path):
    path = tmp_path / "p.jsonl"
    with path.open("w", buffering=1) as file:
        for record in GOOD:
            Recorder("p", file).add(record)
        file.write('{"process": "ha')
    assert tuple(read_records([path])) == GOOD


@pytest.mark.parametrize(
    ("effect", "field"),
    [(value_set(1, "note", "x=y z"), "note"), (linked(1, 7), None), (deleted("labels", 1), None),
     (created("transactions", "a b=c"), None)],
)  # fmt: skip
def test_the_field_of_an_effect(effect: str, field: str | None):
    assert field_of(effect) == field


@pytest.mark.parametrize(
    ("amount", "text"), [("0.00", "0"), ("-0", "0"), ("1E+3", "1000"), ("-1.50", "-1.5")]
)
def test_amounts_are_compared_by_value(amount: str, text: str):
    assert plain(amount) == text
