"""make bench: freshledger and its peers, side by side, in one table.

    python -m benchmarks [--smoke] [--line 1b]… [--json FILE] [--docs DIR]
    python -m benchmarks --from A.json --from B.json [--json FILE] [--docs DIR]

Every line is a module in benchmarks/lines with `LINES`, the rows of the table it is for, and
`measure(bench)`, which returns what it found. Whatever answers with wrong rows fails the run; a
bound that is missed does not: the table tells it.
"""

import asyncio
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import asyncpg
import click
import uvloop

from benchmarks import record as records
from benchmarks import report
from benchmarks.bench import FOLDER, FULL, SMOKE, Bench
from benchmarks.lines import MODULES
from benchmarks.measures import Measure
from benchmarks.record import Record
from freshledger.embedded import EmbeddedServer

FILE = click.Path(path_type=Path, dir_okay=False)
KNOWN = sorted({line for module in MODULES for line in module.LINES}, key=records.order)


@click.command()
@click.option("--smoke", is_flag=True, help="Small, in under a minute: only that all of it works.")
@click.option(
    "--line", "wanted", multiple=True, type=click.Choice(KNOWN), help="Only this row; repeats."
)
@click.option(
    "--from", "earlier", multiple=True, type=FILE,
    help="Measure nothing, tell what this file holds; repeats, for each row the last one counts.",
)  # fmt: skip
@click.option("--json", "json_file", type=FILE, help="Write all rounds there.")
@click.option(
    "--docs",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Write the tables and charts into performance.md there.",
)
def main(
    *,
    smoke: bool,
    wanted: tuple[str, ...],
    earlier: tuple[Path, ...],
    json_file: Path | None,
    docs: Path | None,
) -> None:
    """Measure freshledger and its peers; exits 1 where anybody answered with wrong rows.

    Ctrl-C ends it, stops all servers, and tells what was found until then.
    """
    if smoke and docs:
        raise click.UsageError("the figures of --smoke mean nothing: --docs wants a full run")
    if earlier:
        record = records.merge([records.read(place) for place in earlier])
        report.show(record, json_file=json_file, docs=docs)
        return
    if shutil.which("wrk") is None:
        raise click.ClickException("wrk is not installed; on Debian: apt-get install wrk")
    modules = [one for one in MODULES if not wanted or set(one.LINES) & set(wanted)]
    found: list[Measure] = []
    with (
        _server(smoke=smoke) as server,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        version = runner.run(_version(server))
        try:
            runner.run(
                _measure(modules, Bench(SMOKE if smoke else FULL, server, report.say), found)
            )
        finally:
            if found:
                kept = [one for one in found if not wanted or one.line in wanted]
                run = records.make_run(kept, postgresql=version, smoke=smoke)
                report.show(Record((run,)), json_file=json_file, docs=docs)


@contextmanager
def _server(*, smoke: bool) -> Iterator[EmbeddedServer]:
    """Run PostgreSQL on the data that is kept; for a smoke run on some that is thrown away."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where it was started with &
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))
    with tempfile.TemporaryDirectory(prefix="freshledger-bench-") as folder:
        Path(folder).chmod(0o711)  # whoever PostgreSQL runs as passes through
        with EmbeddedServer((Path(folder) if smoke else FOLDER) / "server") as server:
            yield server


async def _version(server: EmbeddedServer) -> str:
    connection = await asyncpg.connect(server.url)
    try:
        return str(await connection.fetchval("SHOW server_version"))
    finally:
        await connection.close()


async def _measure(modules: list[ModuleType], bench: Bench, found: list[Measure]) -> None:
    """Measure module by module; `found` holds at any time what those that are done have found."""
    for number, module in enumerate(modules, start=1):
        lines = ", ".join(module.LINES)
        bench.say(f"{number} of {len(modules)}: line {lines}")
        found.extend(await module.measure(bench))


if __name__ == "__main__":
    main()
