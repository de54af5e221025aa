"""What all commands share: --data-dir, the settings, progress, errors and exit codes.

A command is declared as with click; its first argument is the settings, and it may be async:

    @command("create")
    @click.argument("name")
    async def create(settings: Settings, name: str) -> None:
        '''Create a ledger.'''
        async with open_database(settings) as database, database.write.begin() as session:
            ...

and then named in cli/__init__.py. It raises freshledger.errors for what the user can mend.
Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
"""

import asyncio
import functools
import inspect
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from sqlalchemy.exc import SQLAlchemyError

from freshledger import __version__
from freshledger.database import refusal
from freshledger.errors import AppError
from freshledger.settings import Settings

INTERRUPTED = 130


class Failure(click.ClickException):
    """Ends the program: the sentence on standard error, exit code 1."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Print it."""
        click.echo(f"error: {self.format_message()}", err=file is None, file=file)


class LazyGroup(click.Group):
    """The group of all commands; it also turns errors into exit codes."""

    def __init__(self, name: str, *, commands: Mapping[str, str], **attributes: Any) -> None:  # noqa: ANN401 - click's
        super().__init__(name, **attributes)
        self._places = commands
        click.version_option(__version__, package_name=name)(self)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Name them all."""
        return sorted(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import it."""
        if cmd_name not in self._places:
            return None
        module, name = self._places[cmd_name].split(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's signature
        """Run the command; SIGTERM ends it as cleanly as Ctrl-C."""
        try:
            with _termination_interrupts():
                return super().invoke(ctx)
        except AppError as error:
            raise Failure(error.message) from error
        except (OSError, SQLAlchemyError) as error:
            raise Failure(_sentence(error)) from error
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            raise click.exceptions.Exit(INTERRUPTED) from None


@contextmanager
def _termination_interrupts() -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGHUP)  # where they are ignored (nohup), they stay so
    ours = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _sentence(error: Exception) -> str:
    if busy := refusal(error):
        return busy.message
    said = str(getattr(error, "orig", error)).splitlines()
    return said[0] if said else type(error).__name__


def data_dir_option() -> click.Option:
    """Make the option --data-dir, which every command and the group itself have."""
    return click.Option(
        ["--data-dir"],
        type=click.Path(path_type=Path, file_okay=False),
        help="Where the data is kept; else FRESHLEDGER_DATA_DIR, else your user's data folder.",
    )


Function = Callable[..., None] | Callable[..., Coroutine[Any, Any, None]]


def command(name: str, **attributes: Any) -> Callable[[Function], click.Command]:  # noqa: ANN401 - click's
    """Declare a command, plain or async, that takes the settings and then its own options."""

    def declare(function: Function) -> click.Command:
        def run(*, data_dir: Path | None, **options: Any) -> None:  # noqa: ANN401 - any option
            folder = data_dir or click.get_current_context().find_root().params.get("data_dir")
            result = function(Settings.from_env(data_dir=folder), **options)
            if inspect.iscoroutine(result):
                asyncio.run(result)

        functools.update_wrapper(run, function)  # the help, and click's own decorators' marks
        made = click.command(name, cls=click.Command, **attributes)(run)
        made.params.append(data_dir_option())
        return made

    return declare


def progress() -> Progress:
    """Make a progress bar on standard error; silent where that is no terminal."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )


def confirm(question: str, *, yes: bool) -> None:
    """Ask before what cannot be taken back; scripts (no terminal, or --yes) are not asked."""
    if not yes and sys.stdin.isatty():
        click.confirm(question, abort=True)
