"""A run of experiments: what fails is told beside the others, what is missing is named."""

from contextlib import ExitStack
from pathlib import Path

import never_stale
import never_starts
import pytest
import sick_twin
from sqlalchemy import create_engine, text

from freshledger.diagnosis import mariadb, runner
from freshledger.diagnosis.catalogue import NOT_RUN, load_causes
from freshledger.diagnosis.matrix import Matrix

CAUSES = load_causes()


def rows(matrix: Matrix):
    return {row.id: row for row in matrix.rows}


def test_what_does_not_work_is_told_and_the_others_run():
    faulty = (never_stale.CAUSE, never_starts.CAUSE, sick_twin.CAUSE)
    matrix = runner.run([*faulty, CAUSES["B3"]])
    found = rows(matrix)
    assert found["B3"].cells
    assert found["X1"].failure.startswith("X1: the page is not stale after the write")
    assert found["X2"].failure == "X2: RuntimeError: nothing can be made of sqlite"
    assert found["X3"].failure.startswith("X3: the healed twin is stale")
    assert set(matrix.failures) == {found[name].failure for name in ("X1", "X2", "X3")}
    assert matrix.versions.keys() >= {"SQLite", "SQLAlchemy", "Flask-SQLAlchemy"}


def test_it_tells_of_each_trial_and_leaves_no_folder(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(runner.tempfile, "tempdir", str(tmp_path))
    trials = []
    runner.run([CAUSES["B3"]], done=lambda: trials.append(1))
    assert len(trials) == runner.TRIALS
    assert list(tmp_path.glob("freshledger-*")) == []


def test_no_proxy_is_asked_for_what_runs_here(monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert runner.run([CAUSES["B3"]]).failures == []


def test_a_server_that_is_not_here_is_named(monkeypatch):
    monkeypatch.setattr(mariadb, "is_installed", lambda: False)
    matrix = runner.run([CAUSES["B1"]])
    row = rows(matrix)["B1"]
    assert "--mariadb URL" in row.not_run
    assert matrix.failures == []
    assert {row.id for row in matrix.rows} == {"B1", *(each.id for each in NOT_RUN)}


@pytest.mark.skipif(not mariadb.is_installed(), reason="no mariadbd on this machine")
def test_a_mariadb_of_the_users_is_left_as_it_was(tmp_path: Path):
    def databases(url) -> set[str]:
        with create_engine(url).connect() as connection:
            return set(connection.scalars(text("SHOW DATABASES")))

    with ExitStack() as stack:
        url = stack.enter_context(mariadb.running(tmp_path / "mariadb"))
        before = databases(url)
        matrix = runner.run([CAUSES["B1"]], mariadb_url=url.render_as_string(hide_password=False))
        assert rows(matrix)["B1"].cells
        assert databases(url) == before


def test_a_mariadb_that_does_not_answer_is_a_failure():
    matrix = runner.run([CAUSES["B1"]], mariadb_url="mariadb://root@127.0.0.1:1/")
    assert "Can't connect" in rows(matrix)["B1"].failure
