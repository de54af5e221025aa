"""diagnose: reproduce the known causes of a stale page, and tell them apart."""

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import click

from freshledger.cli.base import Failure, command, progress
from freshledger.diagnosis import asking, printing, recording
from freshledger.diagnosis.facts import Fact, Known
from freshledger.diagnosis.matrix import Matrix, differences, encode, read_record
from freshledger.errors import Invalid
from freshledger.settings import Settings


@command("diagnose")
@click.option("--cause", "ids", multiple=True, metavar="ID", help="Run this one alone; repeatable.")
@click.option("--list", "listing", is_flag=True, help="List the causes, and run nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print all that was observed, as JSON.")
@click.option("--ask", is_flag=True, help="Find the cause in an app of yours by questions.")
@click.option("--mariadb", metavar="URL", help="A MariaDB to use, as mariadb://user@host/.")
@click.option(
    "--record",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    metavar="FOLDER",
    help="Make this run what is documented, and write the documents into the folder.",
)
def diagnose(
    _settings: Settings,
    *,
    ids: Sequence[str],
    listing: bool,
    as_json: bool,
    ask: bool,
    mariadb: str | None,
    record: Path | None,
) -> None:
    """Reproduce every known cause of a stale page on real servers, and tell them apart.

    It makes its own servers and removes them; your data is not touched. It fails where anything
    is observed that the documentation says otherwise of.
    """
    _refuse_what_is_ignored()
    if listing:
        printing.print_list(printing.make_console(), read_record().rows)
    elif ask:
        _ask_about(read_record())
    elif record:
        _record(_run(ids, mariadb), record, whole=not ids)
    else:
        _show(_run(ids, mariadb), as_json=as_json)


ALONE = {
    "listing": {"ids", "as_json", "ask", "mariadb", "record"},
    "ask": {"ids", "as_json", "mariadb", "record"},
    "record": {"as_json"},
}
"""What would be ignored beside an option."""


def _refuse_what_is_ignored() -> None:
    context = click.get_current_context()
    said = {each.name: each.opts[0] for each in context.command.params if context.params[each.name]}
    for name, ignored in ALONE.items():
        for other in sorted(ignored & said.keys()) if name in said else ():
            raise click.UsageError(f"{said[name]} and {said[other]} do not go together")


def _run(ids: Sequence[str], mariadb: str | None) -> Matrix:
    runner = _runner()
    known = runner.load_causes()
    wanted = [name.upper() for name in ids] or list(known)
    if unknown := [name for name in wanted if name not in known]:
        raise click.BadParameter(
            f"there is no {', '.join(unknown)}; there are {', '.join(known)}", param_hint="--cause"
        )
    causes = [known[name] for name in dict.fromkeys(wanted)]
    with progress() as bar:
        task = bar.add_task("experiments", total=len(causes) * runner.TRIALS)
        matrix: Matrix = runner.run(
            causes, mariadb_url=mariadb, done=lambda: bar.update(task, advance=1)
        )
    return matrix


def _runner() -> ModuleType:
    """Import what runs the experiments; raises Invalid where its libraries are not installed."""
    try:
        from freshledger.diagnosis import runner  # noqa: PLC0415 - an extra

        runner.load_causes()
    except ModuleNotFoundError as missing:
        raise Invalid(
            f"the experiments need {missing.name}, which is not installed: "
            "pip install 'freshledger[diagnose]', or in a checkout make diagnose"
        ) from missing
    return runner


def _show(matrix: Matrix, *, as_json: bool) -> None:
    """Print a run; raises Failure where it is not as documented, or not everything worked."""
    found = differences(matrix, read_record())
    if as_json:
        click.echo(encode(matrix), nl=False)
    else:
        console = printing.make_console()
        printing.print_matrix(console, matrix)
        printing.print_verdict(console, matrix)
    for problem in (*matrix.failures, *found):
        click.echo(problem, err=as_json)
    _fail_for(len(matrix.failures), "experiment did not work", "experiments did not work")
    _fail_for(len(found), "thing is not as documented", "things are not as documented")


def _fail_for(count: int, one: str, many: str) -> None:
    if count:
        raise Failure(f"{count} {one if count == 1 else many}")


def _record(matrix: Matrix, folder: Path, *, whole: bool) -> None:
    """Make a whole run the documentation; raises Failure where anything was not observed."""
    missing = [row.id for row in matrix.rows if row.not_run and row.engine]
    if not whole or missing or matrix.failures:
        for failure in matrix.failures:
            click.echo(failure, err=True)
        raise Failure("only a run of all causes, on all servers, without a failure is recorded")
    for difference in differences(matrix, read_record()):
        click.echo(difference)
    from freshledger.diagnosis import documents, policy  # noqa: PLC0415 - they use the extra

    recording.write_record(matrix)
    policy.write_record()
    documents.write(folder)
    click.echo(f"recorded {len(list(matrix.observed))} causes")


def _ask_about(matrix: Matrix) -> None:
    if not sys.stdin.isatty():
        raise Invalid("--ask asks questions: use it in a terminal, not in a pipe")
    console = printing.make_console()
    rows = tuple(matrix.observed)
    console.print("Answer y(es), n(o), or ? for not known; q ends it.")
    finding = asking.Inquiry(asking.Finding(rows)).run(_ask)
    printing.print_finding(console, finding, rows)


def _ask(fact: Fact, remaining: int) -> Known:
    click.echo(f"\n[{remaining} causes] {fact.question}\n  {fact.how}")
    try:
        answer = click.prompt("  answer", type=click.Choice(["y", "n", "?", "q"]))
    except click.Abort:  # Ctrl-C or Ctrl-D: what is known by now is told all the same
        answer = "q"
    if answer == "q":
        raise asking.Ended
    return {"y": True, "n": False}.get(answer)
