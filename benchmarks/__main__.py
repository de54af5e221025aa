"""make bench: freshledger and its peers, side by side, in one table.

    python -m benchmarks [--smoke] [--line 1b]… [--json FILE] [--docs DIR]

Every line is a module in benchmarks/lines with `LINES`, the rows of the table it is for, and
`measure(bench)`, which returns what it found. Whatever answers with wrong rows fails the run.
"""

import asyncio
from pathlib import Path
from types import ModuleType

import click
import uvloop

from benchmarks import report
from benchmarks.bench import FOLDER, FULL, SMOKE, Bench
from benchmarks.lines import MODULES
from benchmarks.measures import Measure
from freshledger.embedded import EmbeddedServer


@click.command()
@click.option("--smoke", is_flag=True, help="Small, in under a minute: only that all of it works.")
@click.option("--line", "wanted", multiple=True, metavar="LINE", help="Only this row; repeats.")
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path), help="Write all rounds there."
)
@click.option("--docs", type=click.Path(path_type=Path), help="Write the table and charts there.")
def main(
    *, smoke: bool, wanted: tuple[str, ...], json_file: Path | None, docs: Path | None
) -> None:
    """Measure freshledger and its peers; exits 1 where anybody answered with wrong rows."""
    known = [line for module in MODULES for line in module.LINES]
    for line in wanted:
        if line not in known:
            raise click.BadParameter(f"{line} is none of {', '.join(known)}", param_hint="--line")
    modules = [one for one in MODULES if not wanted or set(one.LINES) & set(wanted)]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(_measure(modules, smoke=smoke))
    report.show(found, json_file=json_file, docs=docs, smoke=smoke)


async def _measure(modules: list[ModuleType], *, smoke: bool) -> list[Measure]:
    server = EmbeddedServer(FOLDER / "server")
    await asyncio.to_thread(server.start)
    try:
        bench = Bench(SMOKE if smoke else FULL, server, report.say)
        return [found for module in modules for found in await module.measure(bench)]
    finally:
        await asyncio.to_thread(server.stop)


if __name__ == "__main__":
    main()
