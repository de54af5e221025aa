"""freshledger diagnose: what it prints, when it fails, how it ends."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import msgspec
import psutil
import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from freshledger.cli import diagnose, main
from freshledger.diagnosis import runner
from freshledger.diagnosis.catalogue import GROUPS, NOT_RUN, load_causes
from freshledger.diagnosis.looks import COLUMNS
from freshledger.diagnosis.matrix import Matrix, encode, read_record
from processes import data_folder

PROGRAM = str(Path(sys.executable).with_name("freshledger"))
QUICK = "B3"
"""A cause on SQLite, which needs no server."""

WIDTH, SECONDS = 100, 120
RECORD = read_record()
EXTRA = ("cachecontrol", "fastapi", "flask", "flask_caching", "flask_sqlalchemy", "gunicorn",
         "psycopg", "pymysql", "requests", "uvicorn", "waitress")  # fmt: skip


def whole(record: Matrix) -> Matrix:
    """The record as a run: each cell with its stale look."""
    return Matrix(
        tuple(
            replace(row, cells={name: replace(cell, before=row.stale) for name, cell in row.cells.items()})
            for row in record.rows
        ),
        record.versions,
    )  # fmt: skip


def invoke(monkeypatch, observed: Matrix, *arguments: str) -> Result:
    """Run the command as if that had been observed."""
    monkeypatch.setattr(runner, "run", lambda *_, **__: observed)
    return CliRunner().invoke(main, ["diagnose", *arguments])


def changed(name: str, column: str) -> Matrix:
    rows = []
    for row in whole(RECORD).rows:
        cell = row.cells.get(column)
        if row.id == name:
            value = "no" if cell.value == "yes" else "yes"
            rows.append(replace(row, cells={**row.cells, column: replace(cell, value=value)}))
        else:
            rows.append(row)
    return Matrix(tuple(rows), RECORD.versions)


def test_the_matrix_and_the_verdict(monkeypatch):
    done = invoke(monkeypatch, whole(RECORD))
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= WIDTH
    for row in RECORD.observed:
        (line,) = [line for line in lines if re.match(rf"{row.id} .*[●·◐—]", line)]
        assert len(re.findall("[●·◐—]", line)) == len(COLUMNS) + 3
    for letter, name in GROUPS.items():
        assert re.search(rf"^{letter}  {name[:20]}", done.stdout, re.MULTILINE)
    for heading in ("Explain all three", "Remain only if", "Excluded", "apart", "Not run"):
        assert heading in done.stdout
    assert not re.search(r"\x1b|\[/?bold", done.stdout)


def test_a_difference_from_the_documentation_fails(monkeypatch):
    done = invoke(monkeypatch, changed(QUICK, "remove"))
    assert done.exit_code == 1
    assert f"{QUICK} remove: no, and the documentation says yes" in done.stdout
    assert done.stderr == "error: 1 thing is not as documented\n"


def test_an_experiment_that_does_not_work_fails(monkeypatch):
    rows = [replace(row, cells={}, failure="B3: no server") if row.id == QUICK else row for row in whole(RECORD).rows]  # fmt: skip
    done = invoke(monkeypatch, Matrix(tuple(rows), {}))
    assert done.exit_code == 1
    assert "\nB3: no server\n" in done.stdout
    assert done.stderr == "error: 1 experiment did not work\n"


def test_json_has_nothing_else_beside_it(monkeypatch):
    observed = changed(QUICK, "remove")
    done = invoke(monkeypatch, observed, "--json")
    assert done.exit_code == 1
    assert done.stdout.encode() == encode(observed)
    assert f"{QUICK} remove" in done.stderr


def test_a_run_that_lacks_something_is_not_recorded(monkeypatch, tmp_path):
    rows = [replace(row, cells={}, not_run="needs") if row.id == QUICK else row for row in whole(RECORD).rows]  # fmt: skip
    written = []
    monkeypatch.setattr(diagnose.recording, "write_record", written.append)
    for observed, arguments in (
        (Matrix(tuple(rows), {}), []),
        (whole(RECORD), ["--cause", QUICK]),
    ):
        done = invoke(monkeypatch, observed, "--record", str(tmp_path), *arguments)
        assert done.exit_code == 1
        assert "only a run of all causes" in done.stderr
    assert written == []
    done = invoke(monkeypatch, whole(RECORD), "--record", str(tmp_path))
    assert done.exit_code == 0, done.output
    assert written == [whole(RECORD)]


def test_the_list_names_all_and_why_some_are_not_run():
    shown = CliRunner().invoke(main, ["diagnose", "--list"]).stdout
    for cause in load_causes().values():
        assert re.search(rf"^ +{cause.id} +{re.escape(cause.title)}$", shown, re.MULTILINE)
    for cause in NOT_RUN:
        assert f"{cause.title} (not run: {cause.reason})" in shown


def test_an_unknown_cause_names_the_known_ones():
    done = CliRunner().invoke(main, ["diagnose", "--cause", "z9", "--cause", "b3"])
    assert done.exit_code == 2
    assert "there is no Z9; there are A1, " in done.stderr
    assert "--cause" in done.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--list", "--json"), ("--list", "--ask"), ("--list", "--cause", QUICK),
        ("--list", "--mariadb", "mariadb://root@127.0.0.1/"), ("--list", "--record", "."),
        ("--ask", "--json"), ("--ask", "--cause", QUICK), ("--record", ".", "--json"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_would_be_ignored_is_refused(monkeypatch, options: tuple[str, ...]):
    monkeypatch.setattr(diagnose.recording, "write_record", lambda _: pytest.fail("recorded"))
    done = invoke(monkeypatch, whole(RECORD), *options)
    assert done.exit_code == 2
    assert done.stdout == ""
    names = [name for name in options if name.startswith("--")]
    assert f"{names[0]} and {names[1]} do not go together" in done.stderr


def test_a_deep_folder_for_temporary_files_is_named(tmp_path):
    deep = tmp_path / ("x" * 60) / ("y" * 60)
    deep.mkdir(parents=True)
    environment = {**os.environ, "TMPDIR": str(deep)}
    command = [PROGRAM, "diagnose", "--cause", QUICK]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=SECONDS
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: the path of {deep} is too long for a socket")
    assert done.stderr.endswith("in TMPDIR\n")
    assert done.stderr.count("\n") == 1


def without_the_extra(*arguments: str) -> subprocess.CompletedProcess[str]:
    hidden = "; ".join(f"sys.modules[{name!r}] = None" for name in EXTRA)
    script = f"import sys; {hidden}; from freshledger.cli import main; main({list(arguments)!r})"
    command = [sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)


def test_without_the_extra_it_says_how_to_get_it():
    done = without_the_extra("diagnose")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "pip install 'freshledger[diagnose]', or in a checkout make diagnose" in done.stderr
    assert without_the_extra("diagnose", "--list").returncode == 0
    asked = without_the_extra("diagnose", "--ask")
    assert asked.returncode == 1
    assert asked.stderr == "error: --ask asks questions: use it in a terminal, not in a pipe\n"


def test_one_cause_for_real(run):
    """Also proves that the record is what is observed, and that nothing else is printed."""
    done = run("diagnose", "--cause", QUICK.lower(), "--json")
    observed = msgspec.json.decode(done.stdout, type=Matrix)
    assert done.stderr == ""
    assert [row.id for row in observed.observed] == [QUICK]
    row = next(observed.observed)
    assert row.stale.process > 1
    assert row.cells["expire_all"].after.process == row.cells["expire_all"].before.process
    assert row.cells["process"].after.process != row.cells["process"].before.process
    assert observed.versions["SQLite"]


def began(folder: Path, process: subprocess.Popen, cause: str = QUICK) -> None:
    """Wait until an experiment has its folder."""
    until = time.monotonic() + SECONDS
    while not list(folder.glob(f"freshledger-diagnose-*/{cause}/1")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_nothing(number: signal.Signals):
    with data_folder() as folder:
        folder.mkdir()
        folder.chmod(0o711)
        process = subprocess.Popen(
            [PROGRAM, "diagnose", "--cause", QUICK, "--cause", "B2", "--cause", "A2"],
            env={**os.environ, "TMPDIR": str(folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        began(folder, process)
        children = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
        stdout, stderr = process.communicate(timeout=SECONDS)
        assert (process.returncode, stdout) == (130, "")
        assert stderr.strip() == "interrupted"
        assert children
        psutil.wait_procs(children, timeout=SECONDS)
        assert list(folder.iterdir()) == []


def still(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that run; who adopts a dead one may not bury it."""
    found = []
    for each in processes:
        with suppress(psutil.NoSuchProcess):
            if each.is_running() and each.status() != psutil.STATUS_ZOMBIE:
                found.append(each)
    return found


def test_a_kill_leaves_nothing_either():
    with data_folder() as folder:
        folder.mkdir()
        folder.chmod(0o711)
        with subprocess.Popen(
            [PROGRAM, "diagnose", "--cause", QUICK, "--cause", "A2"],
            env={**os.environ, "TMPDIR": str(folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            began(folder, process, "A2")
            children = psutil.Process(process.pid).children(recursive=True)
            assert "postgres" in [each.name() for each in children]
            process.kill()
            until = time.monotonic() + SECONDS
            while still(children) or list(folder.iterdir()):
                assert time.monotonic() < until, (still(children), list(folder.iterdir()))
                time.sleep(0.05)
            assert process.communicate() == ("", "")


def converse(*answers: str) -> str:
    """Answer the questions of --ask at a terminal; returns all that it showed."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([PROGRAM, "diagnose", "--ask"], stdin=theirs, stdout=theirs, stderr=theirs) as process:  # fmt: skip
        os.close(theirs)
        shown, left = "", list(answers)
        while select.select([ours], [], [], SECONDS)[0]:
            try:
                shown += os.read(ours, 4096).decode()
            except OSError:  # it has closed its end
                break
            if left and shown.endswith("(y, n, ?, q): "):
                os.write(ours, left.pop(0).encode() + b"\n")
                shown += "\n"
        os.close(ours)
    assert process.returncode == 0, shown
    return shown.replace("\r", "")


def test_asking_in_a_terminal():
    shown = converse("y", "y", "y", "y", "y", "q")
    assert re.search(r"\[\d+ causes\] Is the page stale until", shown)
    assert "Do: " in shown
    assert "More: docs/diagnosis.md#" in shown


@pytest.mark.parametrize("end", ["q", "\x04"], ids=["q", "Ctrl-D"])
def test_asking_can_end_at_once(end: str):
    assert "It is one of" in converse(end)
