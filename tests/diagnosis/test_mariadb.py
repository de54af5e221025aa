"""The MariaDB of the experiments: as its makers ship it, and gone when its user is."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from freshledger.diagnosis import mariadb
from freshledger.errors import AppError

SECONDS = 8
"""Less than the ten after which MariaDB itself hangs up on who does not sign in."""

pytestmark = pytest.mark.skipif(not mariadb.is_installed(), reason="no mariadbd on this machine")

USER = """
import sys
from pathlib import Path
from freshledger.diagnosis import mariadb
with mariadb.running(Path(sys.argv[1])) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


def test_its_isolation_is_the_one_nobody_chose(tmp_path: Path) -> None:
    with mariadb.running(tmp_path / "mariadb") as url:
        engine = create_engine(url, poolclass=NullPool)
        with engine.connect() as connection:
            chosen = connection.execute(text("SELECT @@tx_isolation, @@autocommit")).one()
            engines = connection.scalar(text("SELECT @@default_storage_engine"))
    assert tuple(chosen) == ("REPEATABLE-READ", 0)
    assert engines == "InnoDB"


def test_a_path_too_long_for_a_socket_is_none_too_long_for_its_files(tmp_path: Path) -> None:
    with mariadb.running(tmp_path / ("x" * mariadb.SOCKET_PATH_LIMIT)) as url:
        create_engine(url, poolclass=NullPool).connect().close()


def test_it_ends_with_a_user_that_is_killed(tmp_path: Path) -> None:
    user = subprocess.Popen(
        [sys.executable, "-c", USER, str(tmp_path / "mariadb")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with user, socket.socket(socket.AF_UNIX) as connection:
        place = make_url(user.stdout.readline()).query["unix_socket"]
        connection.settimeout(SECONDS)
        connection.connect(place)
        assert connection.recv(4096)
        user.kill()
        assert connection.recv(4096) == b""


def test_a_server_that_does_not_start_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mariadb, "_OPTIONS", ("--no-such-option",))
    with (
        pytest.raises(AppError, match=r"MariaDB did not start: .*(no-such-option|Aborting)"),
        mariadb.running(tmp_path / "mariadb"),
    ):
        pass
