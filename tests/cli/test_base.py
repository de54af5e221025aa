"""What holds for every command: help, --data-dir, exit codes."""

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from freshledger.cli import COMMANDS, main


def commands(group: click.Group = main, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


def find(path: tuple[str, ...]) -> click.Command:
    command: click.Command = main
    for name in path:
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), name)
    return command


ALL = list(commands())


def test_the_list_is_whole():
    assert {path[0] for path in ALL} == set(COMMANDS)


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_helps(path):
    result = CliRunner().invoke(main, [*path, "--help"])
    assert result.exit_code == 0
    assert len(find(path).help or "") > 20
    for parameter in find(path).params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{path}: {parameter.name} says nothing"


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_takes_the_data_folder(path):
    command = find(path)
    if not isinstance(command, click.Group):
        assert "--data-dir" in {name for p in command.params for name in p.opts}


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["serve", "--nonsense"], ["serve", "--port=x"]]
)
def test_wrong_usage_is_2(arguments):
    assert CliRunner().invoke(main, arguments).exit_code == 2


def test_a_failure_is_1_and_one_sentence(run):
    failed = run("psql", "-c", "SELECT 1", url="mysql://nowhere/x", code=1)
    assert failed.stderr.startswith("error: ")
    assert failed.stderr.count("\n") == 1


def test_a_server_that_is_not_there(run, tmp_path):
    failed = run("backup", tmp_path / "b", url="postgresql://u:secret@127.0.0.1:1/x", code=1)
    assert failed.stderr == "error: the database cannot be reached; try again in a moment\n"


def test_a_bad_setting_names_its_variable(run, monkeypatch):
    monkeypatch.setenv("FRESHLEDGER_PORT", "many")
    failed = run("psql", "-c", "SELECT 1", code=1)
    assert "FRESHLEDGER_" in failed.stderr
    assert "port" in failed.stderr


def test_the_option_wins_over_the_environment(run, data_dir):
    other = data_dir.with_name("other")
    for arguments in (("--data-dir", other, "psql"), ("psql", "--data-dir", other)):
        shown = run(*arguments, "-XAtc", "SHOW data_directory")
        assert shown.stdout.strip() == str(other / "pg")
    assert not data_dir.exists()
