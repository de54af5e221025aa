"""import: files into a wallet, from a terminal or a script."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from freshledger.cli.base import Failure, command, progress
from freshledger.database import AnyRow, Database
from freshledger.imports import commands, runner
from freshledger.imports.commands import Batch
from freshledger.imports.committing import Key
from freshledger.imports.files import measure
from freshledger.imports.formats import FORMATS
from freshledger.imports.preview import Counts
from freshledger.imports.reading import sentence_of
from freshledger.ledgers.commands import find_by_name
from freshledger.settings import Settings
from freshledger.startup import open_database

ACTOR = "command line"
"""How the ledger's record names whoever uses the commands."""

WORDS = {
    "new": "new",
    "there": "already there",
    "updated": "updated",
    "problems": "problems",
    "deleted": "stay deleted",
    "equal": "equal to another source's",
    "lines": "new label lines",
}
Show = Callable[[str, int, int], None]


@command("import")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
@click.option("--ledger", required=True, metavar="NAME", help="The ledger's name, or its id.")
@click.option("--wallet", required=True, metavar="NAME", help="Made if it is missing.")
@click.option("--format", type=click.Choice(list(FORMATS)), help="Else recognised by content.")
@click.option("--address", help="The wallet's own address, where the files do not say it.")
@click.option("--timezone", help="The zone of times without one, for example Europe/Berlin.")
@click.option("--chain", help="The chain, where the files do not say it.")
@click.option("--leave-out-problems", is_flag=True, help="Import the rows that can be read.")
@click.option("--dry-run", is_flag=True, help="Say what would happen, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
async def import_(
    settings: Settings, *, files: tuple[Path, ...], ledger: str, wallet: str, **options: Any,  # noqa: ANN401 - click's
) -> None:  # fmt: skip
    """Import FILES into a wallet: all of it or nothing.

    Rows that the wallet has already are not added again. A row that cannot be read stops the
    import, unless it may be left out.
    """
    answers = commands.parse_answers(options)
    sources = [measure(settings, file) for file in files]
    async with open_database(settings) as database:
        async with database.read() as session:
            ledger_id = await find_by_name(session, ledger=ledger)
        with progress() as bar:
            task = bar.add_task("reading", total=None)

            def show(what: str, done: int, total: int) -> None:
                bar.update(task, description=what, completed=done, total=total)

            tried = await runner.stage_if(
                database,
                Batch(ledger_id, None, wallet, sources),
                answers,
                report=lambda done, total: show("reading", done, total),
                wanted=lambda problems: _goes_on(problems, options),
            )
            planned = tried.counts and _planned(tried.counts)
            counts = planned or await _commit(database, tried.key, show)
    _tell(counts, tried.problems, as_json=options["as_json"])
    if planned and not options["dry_run"]:
        raise Failure("nothing was imported: mend these rows, or use --leave-out-problems")


def _goes_on(problems: int, options: Mapping[str, Any]) -> bool:
    return not options["dry_run"] and (options["leave_out_problems"] or not problems)


def _planned(counts: Counts) -> dict[str, int]:
    names = ("new", "there", "updated", "deleted", "equal", "problems")
    return {name: getattr(counts, name) for name in names} | {"lines": counts.new_lines}


async def _commit(database: Database, key: Key, show: Show) -> dict[str, int]:
    """Commit; what is interrupted leaves nothing behind, not even to be committed later."""
    async with database.write.begin() as session:
        await runner.claim_import(session, key)
    try:
        return await runner.run_import(
            database,
            runner.Commit(key, ACTOR),
            lambda done, total: show("importing", done, total),
        )
    except BaseException:
        await runner.forget_import(database, key)
        raise


def _tell(counts: Mapping[str, int], problems: list[AnyRow], *, as_json: bool) -> None:
    if as_json:
        said = {"problem_rows": [dict(row._mapping) for row in problems]}  # noqa: SLF001 - Row's public mapping
        click.echo(msgspec.json.encode({**counts, **said}).decode())
        return
    for name, word in WORDS.items():
        if counts.get(name) or name in {"new", "there", "updated", "problems"}:
            click.echo(f"{counts.get(name, 0):>10,} {word}")
    for row in problems:
        click.echo(sentence_of(row.file, row.line, row.column, row.message), err=True)
