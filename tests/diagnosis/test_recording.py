"""The record: what differs from it is said; it is small, and the same for the same observations."""

import pytest
from matrices import ALL, CAPTURED, SNAPSHOT, look, matrix, row
from msgspec.structs import replace

from freshledger.diagnosis import recording
from freshledger.diagnosis.looks import COLUMNS, Cell
from freshledger.diagnosis.matrix import RECORD, differences, read_record
from freshledger.diagnosis.recording import encode_record, make_record, write_record
from freshledger.diagnosis.tables import AFTER, BEFORE
from freshledger.errors import Invalid

LIMIT = 300_000


def changed(name: str, value: str):
    other = replace(CAPTURED.cells[name], value=value)
    return replace(CAPTURED, cells={**CAPTURED.cells, name: other})


def test_nothing_differs_from_itself():
    assert differences(ALL, ALL) == []
    assert differences(ALL, make_record(ALL)) == []


@pytest.mark.parametrize("name", COLUMNS)
def test_each_changed_cell_is_said(name):
    now = "partly" if CAPTURED.cells[name].value != "partly" else "no"
    then = CAPTURED.cells[name].value
    said = differences(matrix(changed(name, now), SNAPSHOT), ALL)
    assert said == [f"A1 {name}: {now}, and the documentation says {then}"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("page", AFTER), ("wire", None), ("truth", BEFORE), ("answered", False), ("flips", True)],
)
def test_what_else_the_stale_page_tells_is_said(name, value):
    first = replace(CAPTURED.cells["missing"], after=replace(CAPTURED.stale, **{name: value}))
    other = replace(CAPTURED, cells={**CAPTURED.cells, "missing": first})
    (said,) = differences(matrix(other), ALL)
    assert said.startswith(f"A1 the stale page's {name}: {value}, and the documentation says ")


def test_what_differs_in_every_run_is_not_said():
    stale = replace(CAPTURED.stale, process=99, thread="other", truth_by="backend 7")
    first = replace(CAPTURED.cells["missing"], after=stale)
    other = replace(CAPTURED, cells={**CAPTURED.cells, "missing": first})
    assert differences(matrix(other), ALL) == []


def test_a_cause_that_is_not_documented_is_said():
    assert differences(ALL, matrix(SNAPSHOT))[0] == "A1: the documentation has nothing of it"


def test_what_was_not_run_differs_from_nothing():
    assert differences(matrix(SNAPSHOT, replace(CAPTURED, cells={}, not_run="why")), ALL) == []


def observed(process: int, moment: str, folder: str):
    """The same observation in another run."""
    sent = {
        "sql": "SELECT 1",
        "parameters": f"({moment!r}, datetime.datetime(2026, 1, {process}, tzinfo=zone(1)), 'U')",
        "backend": f"backend {process + 1}, in a transaction since {moment}",
    }
    seen = look(
        process=process, thread=f"Thread-{process}", sent=(sent,), truth_by=f"file {folder}/B1/b.db"
    )
    return row("B1", "yyy nyyn yn ny", stale=seen)


def test_the_same_observations_are_the_same_record():
    one = observed(11, "2026-11-21 16:00:00.12+00", "/tmp/freshledger-diagnose-abc_d1")
    other = observed(12, "2026-11-22 17:01:00+00", "/var/x/freshledger-diagnose-q")
    assert encode_record(make_record(matrix(one))) == encode_record(make_record(matrix(other)))
    text = encode_record(make_record(matrix(one))).decode()
    for volatile in ("2026", "abc_d1", "Thread-11", '"process":11'):
        assert volatile not in text
    assert "backend 1, in a transaction since T1" in text
    assert "file FOLDER/B1/b.db" in text


def test_which_of_several_workers_answered_is_left_out():
    def answered(process: int):
        seen = look(process=process, thread=f"worker {process}", flips=True)
        fresh = Cell("yes", seen, look(AFTER, AFTER, process=process + process % 2))
        stale = row("E1", "yyn nnnn yn ny", stale=seen)
        return matrix(replace(stale, cells={**stale.cells, "own": fresh}))

    assert make_record(answered(4)) == make_record(answered(5))


def test_another_observation_is_another_record():
    assert encode_record(make_record(matrix(SNAPSHOT))) != encode_record(
        make_record(matrix(replace(SNAPSHOT, cells={**SNAPSHOT.cells, "own": Cell("yes")})))
    )


def test_it_keeps_the_stale_look_and_the_one_after_each_cure():
    (kept,) = make_record(matrix(SNAPSHOT)).rows
    assert kept.stale == replace(SNAPSHOT.stale, process=1, thread="thread 1")
    for name in COLUMNS[3:]:
        assert kept.cells[name].after.page == SNAPSHOT.cells[name].after.page


def test_the_record_is_small_and_was_made_by_this():
    text = RECORD.read_bytes()
    assert len(text) < LIMIT
    assert encode_record(read_record()) == text


def test_it_is_written_into_a_source_tree_alone(tmp_path, monkeypatch):
    place = tmp_path / "lib/freshledger/diagnosis/recorded.json"
    monkeypatch.setattr(recording, "RECORD", place)
    with pytest.raises(Invalid, match="checkout"):
        write_record(ALL)
    place.parent.mkdir(parents=True)
    (tmp_path / "pyproject.toml").touch()
    write_record(ALL)
    assert place.read_bytes() == encode_record(make_record(ALL))
