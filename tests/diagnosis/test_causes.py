"""Every known cause, on real servers: it is as documented, and its healed twin is not stale."""

import pytest

from freshledger.diagnosis.catalogue import GROUPS, NOT_RUN, load_causes
from freshledger.diagnosis.looks import COLUMNS, SEEN
from freshledger.diagnosis.matrix import Matrix, differences, read_record
from freshledger.diagnosis.tables import AFTER, BEFORE

CAUSES = load_causes()
AT_LEAST = 35


def row_of(observed: Matrix, name: str):
    """The cause's row; a failure of its experiment fails, a server that is not here skips."""
    (row,) = [row for row in observed.rows if row.id == name]
    if row.not_run:
        pytest.skip(row.not_run)
    assert not row.failure, row.failure
    return row


@pytest.mark.parametrize("name", CAUSES)
def test_a_cause_is_as_documented(observed: Matrix, name: str):
    """The run itself fails where the healed twin is stale, or the fault does not show."""
    row = row_of(observed, name)
    assert differences(Matrix((row,), {}), read_record()) == []


@pytest.mark.parametrize("name", CAUSES)
def test_a_cell_has_its_evidence(observed: Matrix, name: str):
    row = row_of(observed, name)
    assert tuple(row.cells) == COLUMNS
    assert row.stale is not None
    assert row.stale.page != AFTER
    for column, cell in row.cells.items():
        if cell.value == "not observable":
            assert cell.reason, column
            continue
        assert cell.before is not None, column
        assert cell.after is not None, column
        if column in SEEN:
            assert (cell.before.page, cell.after) == (BEFORE, row.stale), column
        else:
            assert cell.before.page != AFTER, column
            assert (cell.after.page == AFTER) is (cell.value == "yes"), column


def test_enough_is_observed(observed: Matrix):
    cells = [cell for row in observed.observed for cell in row.cells.values()]
    unseen = [cell for cell in cells if cell.value == "not observable"]
    assert len(list(observed.observed)) >= AT_LEAST
    assert len(unseen) * 10 <= len(cells)


def test_the_record_has_the_whole_catalogue():
    record = {row.id: row for row in read_record().rows}
    known = {**CAUSES, **{each.id: each for each in NOT_RUN}}
    assert record.keys() == known.keys()
    for name, cause in known.items():
        assert (record[name].title, record[name].fix) == (cause.title, cause.fix)
    assert {name for name, row in record.items() if row.cells} == CAUSES.keys()


def test_the_catalogue_is_well_formed():
    assert not CAUSES.keys() & {each.id for each in NOT_RUN}
    for name, cause in CAUSES.items():
        assert name[0] in GROUPS
        assert len(cause.title) <= 90
        assert cause.title.startswith("the ")
        assert not cause.title.endswith(".")
        assert cause.unobservable.keys() <= set(COLUMNS)
