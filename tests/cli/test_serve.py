"""serve, as a process manager and a person at a terminal meet it."""

import errno
import os
import signal
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import httpx
import pytest
from hypercorn.config import Config

from cli.conftest import serving
from freshledger.cli.listening import BACKLOG, GRACEFUL_SECONDS, KEEP_ALIVE_SECONDS
from processes import postmasters

TOP = Path(__file__).parents[2]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_answers_and_ends_cleanly(data_dir, number):
    with serving("--data-dir", data_dir) as (process, address):
        assert httpx.get(f"{address}/nowhere").status_code == 404
        assert len(postmasters(data_dir)) > 0
        os.killpg(process.pid, number)
        process.wait(30)
    assert process.returncode == 0
    assert postmasters(data_dir) == []


def test_an_open_connection_does_not_hold_it_up(data_dir):
    with serving("--data-dir", data_dir) as (process, address), httpx.Client() as client:
        client.get(f"{address}/nowhere")
        process.terminate()
        process.wait(30)
    assert process.returncode == 0


def test_killed_and_started_again(data_dir):
    with serving("--data-dir", data_dir) as (process, _):
        process.kill()
        process.wait(30)
        assert len(postmasters(data_dir)) > 0
        with serving("--data-dir", data_dir) as (_, address):
            assert httpx.get(f"{address}/nowhere").status_code == 404


def test_two_on_one_folder(data_dir):
    with serving("--data-dir", data_dir) as (first, _):
        with serving("--data-dir", data_dir) as (_, address):
            first.terminate()
            first.wait(30)
            assert httpx.get(f"{address}/nowhere").status_code == 404
        assert first.returncode == 0


def test_a_port_in_use(run, data_dir):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        failed = run("serve", "--port", port, code=1)
    reason = os.strerror(errno.EADDRINUSE)
    assert failed.stderr == f"error: cannot serve on 127.0.0.1:{port}: {reason}; try --port\n"
    assert not data_dir.exists()


def test_a_database_that_is_not_there(run):
    failed = run("serve", "--port", "0", url="postgresql://127.0.0.1:1/x", code=1)
    assert failed.stderr == "error: the database cannot be reached; try again in a moment\n"


def test_the_first_start_prints_a_link_that_makes_the_first_account(data_dir):
    with serving("--data-dir", data_dir) as (process, address):
        link = process.stdout.readline().split()[-1]
        assert link.startswith(f"{address}/setup/")


def test_an_ipv6_address_is_clickable(data_dir):
    with serving("--data-dir", data_dir, "--host", "::1") as (_, address):
        assert address.startswith("http://[::1]:")
        assert httpx.get(f"{address}/nowhere").status_code == 404


def test_hypercorns_file_says_the_same():
    config = Config.from_mapping(tomllib.loads((TOP / "hypercorn.toml").read_text()))
    assert config.backlog == BACKLOG
    assert config.keep_alive_timeout == KEEP_ALIVE_SECONDS
    assert config.graceful_timeout == GRACEFUL_SECONDS
    assert config.bind == ["127.0.0.1:8000"]


def test_hypercorn_serves_as_well(data_dir):
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    options = ("--config", str(TOP / "hypercorn.toml"), "--bind", f"fd://{listener.fileno()}")
    with subprocess.Popen(
        [str(Path(sys.executable).with_name("hypercorn")), *options, "freshledger.asgi:app"],
        env={**os.environ, "FRESHLEDGER_DATA_DIR": str(data_dir)},
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=[listener.fileno()],
        start_new_session=True,
    ) as process:
        listener.close()
        for line in process.stderr:
            if "Running on" in line:
                break
        assert httpx.get(f"{address}/nowhere").status_code == 404
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=30)
    assert postmasters(data_dir) == []
