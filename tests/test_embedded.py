"""The embedded PostgreSQL, as several programs, crashes and odd folders meet it."""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from freshledger.embedded import EmbeddedServer, tool
from freshledger.errors import AppError, Invalid
from freshledger.settings import default_data_dir
from processes import data_folder, postmasters

ROOT = os.geteuid() == 0
SECONDS = 60

USER = """
import signal, sys
from pathlib import Path
from freshledger.embedded import EmbeddedServer
signal.signal(signal.SIGTERM, signal.default_int_handler)
with EmbeddedServer(Path(sys.argv[1])) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with data_folder() as folder:
        yield folder


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        os.sched_yield()


def postmaster(folder: Path) -> psutil.Process:
    return psutil.Process(int((folder / "pg/postmaster.pid").read_text().split()[0]))


def ask(url: str, sql: str = "SELECT 1") -> str:
    command = [str(tool("psql")), url, "-XAtqc", sql]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def user(folder: Path, **options) -> subprocess.Popen[str]:
    """Another program that uses the server until its standard input is closed."""
    return subprocess.Popen(
        [sys.executable, "-c", USER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        **options,
    )


def test_start_use_stop(folder):
    server = EmbeddedServer(folder)
    with pytest.raises(AppError, match="not been started"):
        _ = server.url
    with server:
        assert ask(server.url, "SELECT current_database()") == "freshledger"
        assert ask(server.url, "SHOW fsync") == "on"
        assert ask(server.url, "SELECT lower('ÄЖ')") == "äж"
        assert server.start() is server
    assert postmasters(folder) == []
    server.stop()


def test_nobody_else_can_get_in(folder):
    with EmbeddedServer(folder) as server:
        connections = postmaster(folder).net_connections("inet")
        socket_dir = Path(ask(server.url, "SHOW unix_socket_directories").strip('"'))
        assert connections == []
        assert stat.S_IMODE(socket_dir.stat().st_mode) == 0o700
        assert stat.S_IMODE((socket_dir / ".s.PGSQL.5432").stat().st_mode) == 0o700
        assert stat.S_IMODE(server.log.stat().st_mode) == 0o600
    assert not socket_dir.exists()


async def test_asyncpg_takes_the_url(folder):
    with EmbeddedServer(folder) as server:
        connection = await asyncpg.connect(server.url)
        assert await connection.fetchval("SELECT 7") == 7
        await connection.close()


def test_the_last_user_stops_it(folder):
    first, second = EmbeddedServer(folder).start(), EmbeddedServer(folder).start()
    with user(folder) as other:
        assert other.stdout.readline().strip() == first.url == second.url
        url = first.url
        first.stop()
        assert ask(url) == "1"
        second.stop()
        assert ask(url) == "1"
        other.communicate()
    assert other.returncode == 0
    assert postmasters(folder) == []


def test_programs_that_start_at_once_share_one(folder):
    programs = [user(folder) for _ in range(4)]
    urls = {program.stdout.readline() for program in programs}
    servers = [process for process in postmasters(folder) if process.ppid() in pids(programs)]
    for program in programs:
        program.communicate()
    assert len(urls) == len(servers) == 1
    assert [program.returncode for program in programs] == [0] * 4


def pids(programs: list[subprocess.Popen[str]]) -> set[int]:
    return {program.pid for program in programs}


def test_a_killed_program_leaves_a_server_that_the_next_one_stops(folder):
    with user(folder) as other:
        other.stdout.readline()
        left = postmaster(folder)
        other.kill()
    with EmbeddedServer(folder) as server:
        assert ask(server.url) == "1"
        assert postmaster(folder) == left


def test_a_killed_server_recovers(folder):
    with user(folder) as other:
        url = other.stdout.readline().strip()
        ask(url, "CREATE TABLE kept AS SELECT 42 AS answer")
        postmaster(folder).kill()  # stays a zombie: its parent does not look after it
        with EmbeddedServer(folder) as server:
            assert ask(server.url, "SELECT answer FROM kept") == "42"
            other.communicate()


def test_everything_killed_at_once_recovers(folder):
    with user(folder) as other:
        ask(other.stdout.readline().strip(), "CREATE TABLE kept AS SELECT 42 AS answer")
        killed = postmaster(folder)
        other.kill()
        killed.kill()
    with EmbeddedServer(folder) as server:
        assert ask(server.url, "SELECT answer FROM kept") == "42"


def test_a_pid_that_is_another_programs_by_now(folder):
    EmbeddedServer(folder).start().stop()
    pid_file = folder / "pg/postmaster.pid"
    lines = (str(os.getpid()), str(folder / "pg"), "1", "5432", "/nowhere", "", "ready")
    pid_file.write_text("\n".join(lines))
    with EmbeddedServer(folder) as server:
        assert ask(server.url) == "1"


def test_a_server_whose_socket_was_swept_away(folder):
    with user(folder) as other:
        url = other.stdout.readline().strip()
        shutil.rmtree(Path(ask(url, "SHOW unix_socket_directories").strip('"')))
        with EmbeddedServer(folder) as server:
            assert ask(server.url) == "1"
            other.communicate()


@pytest.mark.parametrize(
    "name", ["a b", "it's", 'say "so"', "$(touch planted)", "a,b;c", "ünïcödé", "x" * 150, "100%"]
)
def test_odd_folders(folder, name):
    with EmbeddedServer(folder / name) as server:
        assert ask(server.url) == "1"


def test_the_callers_variables_change_nothing(folder):
    odd = {"PGPORT": "1", "PGDATA": "/nowhere", "PGHOST": "nowhere", "LC_ALL": "xx", "LANG": "yy"}
    with user(folder, env={**os.environ, **odd}) as other:
        assert ask(other.stdout.readline().strip()) == "1"
        other.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["start.lock", "pg.new", "pg", "pg/postmaster.pid"])
def test_an_interrupted_start_leaves_nothing_behind(folder, moment, number):
    """As the terminal does it: the whole group gets the signal."""
    with user(folder, start_new_session=True) as other:
        until((folder / moment).exists)
        os.killpg(other.pid, number)
        other.wait(SECONDS)
    until(lambda: postmasters(folder) == [])  # initdb's own server ends with its input
    with EmbeddedServer(folder) as server:
        assert ask(server.url) == "1"


def test_stop_from_another_thread_ends_a_start(folder):
    server = EmbeddedServer(folder)
    starting = threading.Thread(target=swallow_interruption, args=(server,))
    starting.start()
    until((folder / "pg").exists)
    server.stop()
    starting.join()
    assert postmasters(folder) == []


def swallow_interruption(server: EmbeddedServer) -> None:
    try:
        server.start()
    except AppError as error:
        assert "interrupted" in error.message  # noqa: PT017 - it may also have been ready


def test_data_of_another_major_version(folder):
    EmbeddedServer(folder).start().stop()
    (folder / "pg/PG_VERSION").write_text("17\n")
    with pytest.raises(
        Invalid, match=r"data of PostgreSQL 17, this version uses 18: make a backup"
    ):
        EmbeddedServer(folder).start()


def test_a_failure_is_one_sentence(folder):
    EmbeddedServer(folder).start().stop()
    (folder / "pg/postgresql.conf").write_text("nonsense = 1\n")
    with pytest.raises(AppError, match=r"did not start: .*FATAL.*postgres\.log") as failure:
        EmbeddedServer(folder).start()
    assert "\n" not in failure.value.message


def test_a_folder_that_is_a_file(folder):
    folder.write_text("")
    with pytest.raises(Invalid, match="cannot be used"):
        EmbeddedServer(folder).start()


@pytest.mark.skipif(not ROOT, reason="only root hands PostgreSQL to another user")
def test_root_is_told_which_folder_is_closed(folder):
    closed = folder.parent / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(Invalid, match=rf"may not enter {closed}: choose another folder"):
        EmbeddedServer(closed / "below" / "data").start()
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@pytest.mark.skipif(not ROOT, reason="only root hands PostgreSQL to another user")
def test_root_copies_binaries_that_others_cannot_reach(folder):
    closed = folder.parent / "closed"
    closed.mkdir(mode=0o700)
    package = tool("psql").parents[2]
    for part in (package, package.with_name(f"{package.name}.libs")):
        (closed / part.name).symlink_to(part)
    with user(folder, env={**os.environ, "PYTHONPATH": str(closed)}) as other:
        assert ask(other.stdout.readline().strip()) == "1"
        assert Path(postmaster(folder).exe()).is_relative_to(default_data_dir())
        other.communicate()
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@pytest.mark.skipif(not ROOT, reason="only root can be somebody else")
def test_any_user_can_run_it_and_root_can_help(folder):
    nobody = pwd.getpwnam("nobody")
    folder.mkdir()
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    rights = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    try:
        subprocess.run([sys.executable, "-c", ""], check=True, **rights)
    except PermissionError:
        pytest.skip(f"nobody cannot reach this Python, {sys.executable}")
    for _ in range(2):
        with user(folder, **rights) as other:
            assert ask(other.stdout.readline().strip()) == "1"
            other.communicate()
        with EmbeddedServer(folder) as server:
            assert postmaster(folder).username() == "nobody"
            assert ask(server.url) == "1"
