"""backup and restore: the round trip, and everything that must not happen."""

import asyncpg
import httpx
import pytest
from sqlalchemy import make_url

from books import make_books
from cli.conftest import serving
from freshledger.cli.postgres import run_program, with_database
from freshledger.embedded import tool

TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
ALWAYS = "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'A'"


async def contents(url: str) -> dict[str, list[str]]:
    """Every row of every table as text."""
    connection = await asyncpg.connect(url)
    try:
        names = [row[0] for row in await connection.fetch(TABLES)]
        return {
            name: sorted(r[0] for r in await connection.fetch(f"SELECT t::text FROM {name} t"))
            for name in names
        }
    finally:
        await connection.close()


async def fetch(url: str, sql: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


@pytest.fixture
async def filled(own_database: str) -> str:
    """A database with a user's books in it."""
    connection = await asyncpg.connect(own_database)
    await make_books(connection)
    await connection.close()
    return own_database


async def test_round_trip(run, filled, tmp_path):
    file = tmp_path / "books.dump"
    before, epoch = await contents(filled), await fetch(filled, "SELECT epoch FROM ledgers")
    always = await fetch(filled, ALWAYS)
    run("backup", file, url=filled)
    await fetch(filled, "UPDATE ledgers SET name = 'Spoilt'")
    run("restore", file, url=filled)
    after = await contents(filled)
    assert await fetch(filled, "SELECT epoch FROM ledgers") != epoch
    assert await fetch(filled, ALWAYS) == always > 0
    for name in before.keys() - {"ledgers", "heads", "revisions", "changes"}:
        assert after[name] == before[name]
    for name in ("revisions", "changes"):  # the new epoch is itself a change, and a version
        assert set(before[name]) < set(after[name])
    assert await fetch(filled, "SELECT name FROM ledgers") == "Books"


async def test_the_stamps_go_on_after_a_restore(run, filled, tmp_path):
    run("backup", tmp_path / "b", url=filled)
    run("restore", tmp_path / "b", url=filled)
    version = await fetch(filled, "SELECT version FROM heads")
    await fetch(filled, "UPDATE ledgers SET name = 'Later'")
    assert await fetch(filled, "SELECT version FROM heads") == version + 1


def test_beside_a_running_server(run, data_dir, tmp_path):
    with serving("--data-dir", data_dir) as (_, address):
        run("psql", "-Xqc", "INSERT INTO ledgers (name) VALUES ('Kept')")
        run("backup", tmp_path / "b")
        run("psql", "-Xqc", "DELETE FROM ledgers")
        run("restore", tmp_path / "b")
        assert run("psql", "-XAtc", "SELECT name FROM ledgers").stdout == "Kept\n"
        assert httpx.get(f"{address}/nowhere").status_code == 404


async def databases(url: str) -> set[str]:
    connection = await asyncpg.connect(url)
    try:
        return {row[0] for row in await connection.fetch("SELECT datname FROM pg_database")}
    finally:
        await connection.close()


async def refuses(run, url: str, file, sentence: str) -> None:
    """Restoring fails with the sentence and leaves everything, and nothing else, as it was."""
    before = await contents(url)
    assert sentence in run("restore", file, url=url, code=1).stderr
    name = make_url(url).database
    assert await contents(url) == before
    assert not {f"{name}_restored", f"{name}_replaced"} & await databases(url)


async def test_what_is_no_backup(run, filled, tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("hello")
    await refuses(run, filled, file, "is not a backup, or it is damaged")
    assert "is no backup" in run("backup", file, url=filled, code=1).stderr
    assert file.read_text() == "hello"


async def test_a_damaged_backup_changes_nothing(run, filled, tmp_path):
    file = tmp_path / "b"
    run("backup", file, url=filled)
    whole = file.read_bytes()
    file.write_bytes(whole[:-300])
    await refuses(run, filled, file, "nothing was changed")


async def test_another_programs_backup(run, filled, tmp_path):
    file = tmp_path / "b"
    other = with_database(filled, "postgres")
    await run_program(tool("pg_dump"), "-Fc", "-f", str(file), other, on_line=print)
    await refuses(run, filled, file, "a backup of another program's database")


async def test_a_newer_versions_backup(run, filled, tmp_path):
    file = tmp_path / "b"
    here = await fetch(filled, "SELECT version_num FROM alembic_version")
    await fetch(filled, "UPDATE alembic_version SET version_num = 'future'")
    run("backup", file, url=filled)
    await fetch(filled, f"UPDATE alembic_version SET version_num = '{here}'")
    await refuses(run, filled, file, "was made by a newer version")


def test_an_empty_database_has_no_backup(run, tmp_path):
    assert "nothing to back up" in run("backup", tmp_path / "b", code=1).stderr
    assert list(tmp_path.iterdir()) == []


async def test_only_the_owner_can_read_it(run, filled, tmp_path):
    run("backup", tmp_path / "b", url=filled)
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o600
