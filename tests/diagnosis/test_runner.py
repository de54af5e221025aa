"""A run of experiments: what fails is told beside the others, what is missing is named."""

import os
import re
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import never_stale
import never_starts
import pytest
import sick_twin
from gunicorn.app.base import BaseApplication
from sqlalchemy import create_engine, text

from freshledger.diagnosis import hosting, mariadb, runner
from freshledger.diagnosis.catalogue import NOT_RUN, load_causes
from freshledger.diagnosis.matrix import Matrix
from freshledger.diagnosis.trials import Visit
from freshledger.embedded import EmbeddedServer
from freshledger.errors import AppError

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


@pytest.mark.parametrize(("stalls", "failures"), [(3, 0), (4, 1)])
def test_a_trial_whose_fault_may_have_gone_by_is_repeated(monkeypatch, stalls: int, failures: int):
    """The first writes, after the healed twin's, come a minute too late."""
    delays = iter([0, *[60] * stalls])
    writes = []

    def write(visit: Visit) -> None:
        visit.began -= next(delays, 0)
        writes.append(visit)
        at_once(visit)

    at_once = Visit.write
    monkeypatch.setattr(Visit, "write", write)
    matrix = runner.run([replace(CAUSES["B3"], within=30)])
    assert len(matrix.failures) == failures
    if failures:
        assert re.match(r"B3: a trial took 60\.\d s, .* within 30 s", matrix.failures[0])
    else:
        assert len(writes) == runner.TRIALS + stalls


def test_a_port_that_is_anothers_for_a_moment_is_waited_for():
    other = socket.create_server(("127.0.0.1", 0))
    port = other.getsockname()[1]
    ending = threading.Timer(0.3, other.close)
    ending.start()
    with hosting._listen(port) as listening:
        assert listening.getsockname()[1] == port
    ending.join()


def test_gunicorn_keeps_nothing_in_the_home_folder(monkeypatch):
    made = []
    monkeypatch.setattr(BaseApplication, "run", lambda server: made.append(server.cfg))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        hosting._workers(None, listening, 1, threading.Event().wait)
    assert made[0].control_socket_disable


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


def test_a_server_that_did_not_start_is_not_tried_again(monkeypatch):
    starts = []

    def refuse(server: EmbeddedServer) -> None:
        starts.append(server)
        raise AppError("PostgreSQL did not start: it would not")

    monkeypatch.setattr(EmbeddedServer, "start", refuse)
    found = rows(runner.run([CAUSES["A2"], CAUSES["B2"]]))
    assert len(starts) == 1
    for name in ("A2", "B2"):
        assert found[name].failure == f"{name}: PostgreSQL did not start: it would not"


@pytest.mark.skipif(not mariadb.is_installed(), reason="no mariadbd on this machine")
def test_each_cause_says_why_mariadb_did_not_start(monkeypatch):
    monkeypatch.setattr(mariadb, "_OPTIONS", ("--no-such-option",))
    found = rows(runner.run([CAUSES["B1"], CAUSES["B6"]]))
    for name in ("B1", "B6"):
        assert found[name].failure.startswith(f"{name}: MariaDB did not start: ")


def test_local_time_needs_no_time_zones_to_be_installed():
    """A process of its own: its clock's zone is changed for good."""
    script = (
        "import time; from pathlib import Path; from freshledger.diagnosis.cause import World;"
        "from freshledger.diagnosis.causes import f3_local_time;"
        "f3_local_time.build(World('sqlite://', Path())); print(time.localtime(0).tm_hour)"
    )
    environment = {**os.environ, "TZDIR": "/nowhere"}
    told = subprocess.check_output([sys.executable, "-c", script], env=environment, text=True)
    assert told == "3\n"
