"""migration check: it passes, and it sees a table that has no migration."""

import subprocess
import sys

PLANTED = """
from sqlalchemy import Column, Integer, Table
from freshledger.cli import main
from freshledger.models import Base
Table("planted", Base.metadata, Column("id", Integer, primary_key=True))
main(["migration", "check"])
"""


def test_models_and_migrations_agree(run, data_dir):
    run("migration", "check")
    assert not data_dir.exists()


def test_a_table_without_a_migration_is_seen():
    done = subprocess.run(
        [sys.executable, "-c", PLANTED], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "models and migrations differ" in done.stderr
    assert "planted" in done.stderr


def test_a_slug_is_words(run):
    assert "slug" in run("migration", "new", "../x", code=1).stderr
