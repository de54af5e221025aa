"""make torture: the program under load while everything around it breaks, and what was shown.

    python -m proof.torture [--seconds N] [--faults reply,worker] [--planted NAME] [--json FILE]

Without --seconds it goes on until every fault was injected 20 times, 30,000 reads were checked
under each, and a million under them all. It fails if anything broke a rule, or if it proves nothing.
"""

import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import click
import msgspec
import uvloop

from processes import data_folder
from proof.checker import Violation, report
from proof.injectors import FAULTS
from proof.phases import Goal, Progress, run_phase
from proof.stage import Stage, staged
from proof.tally import Result, table

INJECTIONS, UNDER, READS = 20, 30_000, 1_000_000
LOG = "program.log"
CALM = "calm"
BESIDE = 4.0
"""Seconds that a phase takes beside its injections."""


class Line:
    """The progress in one line of the terminal, or in one line a phase where there is none."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._terminal = sys.stderr.isatty()
        self.done = 0

    def show(self, progress: Progress) -> None:
        """Say how far a phase is."""
        if self._terminal:
            click.echo(f"\r\x1b[K{self._text(progress)}", err=True, nl=False)

    def _text(self, progress: Progress) -> str:
        elapsed = int(time.monotonic() - self._begun)
        return (
            f"{elapsed // 60}:{elapsed % 60:02} {progress.fault}: {len(progress.injections)}"
            f" injections, {progress.under:,} reads under it, {self.done + progress.counted:,} in all"
        )

    def end(self, result: Result) -> None:
        """Say what a phase came to."""
        self.done += result.reads
        rate = result.reads / result.seconds
        start = "\r\x1b[K" if self._terminal else ""
        click.echo(
            f"{start}{result.fault}: {result.injections} injections, {result.reads:,} reads"
            f" ({result.under:,} under it, {rate:.0f}/s), {result.violations} violations,"
            f" {result.errors} answers 500",
            err=True,
        )


def goal_for(name: str, left: Sequence[str], reads: int) -> Goal:
    """Return what a fault has to reach in a full run: `reads` are still to be made in all.

    Those under which much can be read make most of them, in equal shares; `left` has `name`.
    """
    if name == CALM:
        return Goal(INJECTIONS)
    sharing = [one for one in left if one != CALM and not FAULTS[one].slow]
    share = 1 if FAULTS[name].slow and sharing else -(-reads // len(sharing or left))
    return Goal(INJECTIONS, UNDER, share)


def in_order(names: Iterable[str]) -> list[str]:
    """Put the slow ones first, so that the others know how many reads are still to be made."""
    return sorted(names, key=lambda name: (name != CALM, not FAULTS[name].slow))


async def torture(
    stage: Stage, names: Sequence[str], seconds: float | None, folder: Path
) -> tuple[list[Result], list[Violation]]:
    """Run the phase of every fault; the histories of those without violations are removed."""
    line, results, violations, reads = Line(), [], [], READS
    for place, name in enumerate(names):
        goal = Goal(seconds=max(0.0, (seconds or 0) / len(names) - BESIDE))
        if seconds is None:
            goal = goal_for(name, names[place:], reads)
        result, found = await run_phase(stage, FAULTS[name], goal, folder / name, line.show)
        results.append(result)
        violations += found
        reads = max(1, reads - result.reads * (name != CALM))
        line.end(result)
        if found:
            click.echo(f"{report(found)}\nthe history is in {folder / name}", err=True)
        else:
            shutil.rmtree(folder / name)
    return results, violations


async def run(
    names: Sequence[str], seconds: float | None, planted: str | None, folder: Path
) -> tuple[list[Result], list[Violation]]:
    with data_folder() as data:
        async with staged(data, folder / LOG, planted=planted) as stage:
            return await torture(stage, names, seconds, folder)


def chosen(faults: str, planted: str | None) -> list[str]:
    """Return the faults to inject, in their order; raises click.UsageError for an unknown one."""
    names = faults.split(",")
    if unknown := [name for name in names if name not in FAULTS]:
        known = ", ".join(FAULTS)
        raise click.UsageError(f"there is no fault {', '.join(unknown)}; there are {known}")
    if planted and "worker" in names:
        names.remove("worker")  # a planted program is one process
    return in_order(names)


@click.command()
@click.option("--seconds", type=float, help="About how long; each fault is met at least once.")
@click.option("--faults", default=",".join(FAULTS), show_default=True, help="Which, by commas.")
@click.option("--planted", help="Plant this fault of proof.faults: it must be found.")
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path), help="Write the results there."
)
@click.option("--markdown", type=click.Path(path_type=Path), help="Write the table there.")
def main(
    seconds: float | None,
    faults: str,
    planted: str | None,
    json_file: Path | None,
    markdown: Path | None,
) -> None:
    """Break everything around the program while it works, and check all that it showed."""
    names = chosen(faults, planted)
    folder = Path(tempfile.mkdtemp(prefix="freshledger-torture-"))
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            results, violations = runner.run(run(names, seconds, planted, folder))
    except KeyboardInterrupt:
        shutil.rmtree(folder)
        raise click.Abort from None
    except BaseException:
        click.echo(f"what the program said is in {folder / LOG}", err=True)
        raise
    if not violations:
        shutil.rmtree(folder)
    click.echo(table(results))
    if json_file:
        json_file.write_bytes(msgspec.json.format(msgspec.json.encode(results)) + b"\n")
    if markdown:
        markdown.write_text(table(results) + "\n")
    sys.exit(1 if violations else 0)


if __name__ == "__main__":
    main()
