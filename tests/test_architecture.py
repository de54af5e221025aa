"""The house rules that no linter knows: sizes, and who may do what where."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

import freshledger
from freshledger.app import create_app
from freshledger.settings import Settings

SOURCE = Path(freshledger.__file__).parent
MODULES = {path.relative_to(SOURCE).as_posix(): path for path in sorted(SOURCE.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text()) for name, path in MODULES.items()}
OURS = {name: tree for name, tree in TREES.items() if not name.startswith("diagnosis/")}
"""The application; the experiments beside it have faults on purpose."""

FUNCTION_LINES, MODULE_LINES = 50, 400
NO_QUART = ("repository.py", "models/", "database.py", "commands.py", "filters.py")
NO_SQL = ("pages.py", "api.py")
COMMITS = {
    "web/session.py": "the unit of work",
    "imports/runner.py": "an import outlives the request that started it",
    "cli/migration.py": "Alembic has a command of that name",
}
"""Modules that may call commit() or rollback(), with the reason."""
BEGINS = ("cli/", "imports/", "accounts/attempts.py", "ledgers/api.py", "startup.py")
"""Where a transaction of its own may begin: programs, tasks, and what must survive a refusal."""


def calls(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """The names of all functions and methods that are called, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", None) or getattr(node.func, "id", "")
            yield name, node.lineno


def imports(tree: ast.AST) -> set[str]:
    """The packages that a module imports, by their first name."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


def long_functions(tree: ast.AST) -> list[str]:
    return [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno + 1 > FUNCTION_LINES
    ]


def ending(name: str, places: tuple[str, ...]) -> bool:
    """Whether a module is one of `places`: a file's name, or a folder on its way."""
    return any(
        name.startswith(place) or f"/{place}" in f"/{name}" if place.endswith("/")
        else name == place or name.endswith(f"/{place}")
        for place in places
    )  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_sizes(name: str):
    assert len(MODULES[name].read_text().splitlines()) <= MODULE_LINES
    assert long_functions(TREES[name]) == []


def test_commits():
    found = {
        name
        for name, tree in OURS.items()
        if {"commit", "rollback"} & {called for called, _ in calls(tree)}
    }
    assert found <= COMMITS.keys(), "only the unit of work commits"
    assert "web/session.py" in found


def test_own_transactions():
    """A request has one transaction: nobody begins another, except for a savepoint."""
    found = {
        name
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node).endswith(".write.begin")
    }
    assert {name for name in found if not name.startswith(BEGINS)} == set()
    assert found


def test_no_floats():
    """Money is never a float; nor is anything else."""
    found = [
        f"{name}:{line}"
        for name, tree in TREES.items()
        for called, line in calls(tree)
        if called == "float"
    ]
    assert found == []


def test_quart_stays_outside():
    found = {name for name, tree in TREES.items()
             if ending(name, NO_QUART) and {"quart", "quart_schema", "werkzeug"} & imports(tree)}  # fmt: skip
    assert found == set()


def test_sql_stays_inside():
    found = {name for name, tree in TREES.items()
             if ending(name, NO_SQL) and {"sqlalchemy", "asyncpg"} & imports(tree)}  # fmt: skip
    assert found == set()


def test_sql_hides_in_no_other_room_of_the_pages():
    """Modules that define a feature's routes are its pages and API, whatever their name."""
    routed = {name for name, tree in TREES.items()
              if "Blueprint" in {called for called, _ in calls(tree)} and "/" in name}  # fmt: skip
    assert {name for name in routed if {"sqlalchemy", "asyncpg"} & imports(TREES[name])} == set()
    assert routed


def test_every_view_is_async():
    app = create_app(Settings(database_url="postgresql://nowhere/nothing"))
    blocking = [
        endpoint
        for endpoint, view in app.view_functions.items()
        if not inspect.iscoroutinefunction(inspect.unwrap(view))
    ]
    assert blocking == []


def test_planted_faults_are_caught():
    body = "\n".join(f"    x{n} = {n}" for n in range(50))
    tree = ast.parse(
        f"import sqlalchemy.orm\nfrom quart import g\nasync def long():\n{body}\nsession.commit()\n"
        "float(1)"
    )
    assert long_functions(tree) == ["long: 51 lines"]
    assert {"commit", "float"} <= {called for called, _ in calls(tree)}
    assert imports(tree) == {"sqlalchemy", "quart"}
    assert ending("labels/repository.py", NO_QUART)
    assert ending("models/base.py", NO_QUART)
    assert not ending("labels/pages.py", NO_QUART)
