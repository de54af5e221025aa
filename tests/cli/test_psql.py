"""psql: another program beside the server."""

import os
import signal
import subprocess

from cli.conftest import PROGRAM, serving
from processes import postmasters


def test_beside_a_running_server(run, data_dir):
    with serving("--data-dir", data_dir):
        assert run("psql", "-XAtc", "SELECT count(*) FROM ledgers").stdout == "0\n"


def test_alone_it_starts_and_stops_the_server(run, data_dir):
    assert run("psql", "-XAtc", "SELECT current_database()").stdout == "freshledger\n"
    assert postmasters(data_dir) == []


def test_its_own_options_and_input_reach_it(run):
    assert run("psql", "-XAt", "-v", "x=7", "-f", "-", input="SELECT :x").stdout == "7\n"


def test_its_failure_is_ours(run):
    failed = run("psql", "-Xc", "SELECT nonsense", code=1)
    assert 'column "nonsense" does not exist' in failed.stderr


def test_on_a_server_of_your_own(run, database_url, data_dir):
    assert run("psql", "-XAtc", "SELECT 1 FROM heads LIMIT 0", url=database_url).stdout == ""
    assert not data_dir.exists()


def test_ctrl_c_cancels_the_query_not_the_session(data_dir):
    """The terminal's Ctrl-C reaches both programs; psql goes on with its next line."""
    with subprocess.Popen(
        [PROGRAM, "psql", "--data-dir", str(data_dir), "-XAt"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        process.stdin.write("DO $$ BEGIN RAISE NOTICE 'begun'; PERFORM pg_sleep(60); END $$;\n")
        process.stdin.flush()
        assert "begun" in process.stderr.readline()
        os.killpg(process.pid, signal.SIGINT)
        process.communicate("SELECT 8;\n", timeout=30)
    assert postmasters(data_dir) == []
