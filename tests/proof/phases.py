"""One fault's part of a run: a ledger of its own, clients, injections, and then the check."""

import asyncio
import os
import random
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from proof.checker import Violation, check
from proof.clients import Site
from proof.injectors import Fault, Injection, Scene, injected
from proof.live import Message, Sent
from proof.load import Spec
from proof.records import Record, Recorder, created, now, read_records
from proof.runs import make_site, truth_of
from proof.serving import TESTS
from proof.stage import SECONDS, Stage
from proof.tally import AFTER, Result, Tail, reads_under, recovery_of
from proof.throng import Sturdy, Watcher

ROWS = 20
INTERNAL = 500
PROCESSES = (
    {"edit_calmly": 2, "label": 1, "ask": 4, "read": 1, "watch": 20, "live": 1},
    {"edit": 1, "bulk": 1, "make": 1, "foreign": 1, "ask": 4, "watch": 20},
)


@dataclass(frozen=True)
class Goal:
    """When a fault has been injected often enough: all of these, and not before `seconds`."""

    injections: int = 1
    under: int = 1
    reads: int = 1
    seconds: float = 0.0


@dataclass
class Progress:
    """How far a phase is; counted as histories grow, so that slow answers come late."""

    fault: str
    begun: float = field(default_factory=time.monotonic)
    injections: list[Injection] = field(default_factory=list)
    reads: list[int] = field(default_factory=list)
    counted: int = 0
    under: int = 0

    def count(self, tails: list[Tail]) -> None:
        """Read on in the histories; a closed window is counted once."""
        self.reads += [one.invoked for tail in tails for one in tail.new() if one.is_read]

    def close(self) -> None:
        """Count the reads of the last injection's window, and forget what was before."""
        self.under += reads_under(self.reads, self.injections[-1:])
        self.counted += len(self.reads)
        self.reads = []

    def reaches(self, goal: Goal) -> bool:
        """Tell whether it is enough."""
        return (
            len(self.injections) >= goal.injections
            and self.under >= goal.under
            and self.counted >= goal.reads
            and time.monotonic() - self.begun >= goal.seconds
        )


Show = Callable[[Progress], None]


@dataclass
class Phase:
    """What runs in a phase, and what its history is written to."""

    site: Site
    running: list[asyncio.subprocess.Process]
    paths: list[Path]
    progress: Progress
    show: Show


async def run_phase(
    stage: Stage, fault: Fault, goal: Goal, folder: Path, show: Show
) -> tuple[Result, list[Violation]]:
    """Inject one fault until the goal is reached; return what it came to, and what broke a rule.

    Raises AssertionError if a client dies, nothing was read, or the program does not recover.
    """
    await asyncio.to_thread(folder.mkdir)
    site = await make_site(stage.postgres.url, stage.address, rows=ROWS)
    specs = [
        Spec(f"p{number}", site, 0, clients, seed=number)
        for number, clients in enumerate(PROCESSES)
    ]
    paths = [folder / f"{spec.process}.jsonl" for spec in specs]
    running = [await _start(spec, path) for spec, path in zip(specs, paths, strict=True)]
    paths.append(folder / "probe.jsonl")
    phase = Phase(site, running, paths, Progress(fault.name), show)
    try:
        with paths[-1].open("w", buffering=1) as file:
            async with Sturdy(site, Recorder("probe", file), "probe") as probe:
                await _with_an_ear(
                    fault, Scene(stage, probe, random.Random(fault.name)), goal, phase
                )
        await _finish(running, site)
    finally:
        for process in running:
            if process.returncode is None:
                process.kill()
            await process.wait()
    return await _judge(fault, phase)


class Ear(Watcher):
    """A stream that knows when it was told something beyond where it began."""

    told: asyncio.Event

    def _note(self, message: Message, sent: Sent) -> None:
        if self.opening is None:
            self.told.set()
        super()._note(message, sent)


async def _with_an_ear(fault: Fault, scene: Scene, goal: Goal, phase: Phase) -> None:
    async with Ear(phase.site, scene.client.recorder, "ear") as ear:
        ear.told = asyncio.Event()
        await ear.load()
        following = asyncio.create_task(ear.follow())
        try:
            await _repeat(fault, scene, goal, phase, ear)
        finally:
            following.cancel()
            await asyncio.wait([following])


async def _repeat(fault: Fault, scene: Scene, goal: Goal, phase: Phase, ear: Ear) -> None:
    progress, tails = phase.progress, [Tail(path) for path in phase.paths]
    await _recover(scene, ear)
    while not progress.reaches(goal):
        progress.injections.append(await injected(fault, scene))
        await _recover(scene, ear)
        rest = progress.injections[-1].over + AFTER - now()
        await asyncio.sleep(max(0, rest / 1e9) + scene.chance.random() / 4)
        progress.count(tails)
        progress.close()
        phase.show(progress)
        for process in phase.running:
            if process.returncode is not None:
                raise AssertionError(f"a process of clients died: {process.returncode}")


async def _recover(scene: Scene, ear: Ear) -> None:
    """Wait until a write is acknowledged, a list is shown, and an open stream is told something."""
    ear.told.clear()
    found = "a write is not acknowledged"
    try:
        async with asyncio.timeout(SECONDS):
            while not ear.told.is_set():
                if not await _write(scene.client):
                    continue
                found = "a list is not shown"
                if await scene.client.list():
                    found = "an open stream is not told of commits"
                    with suppress(TimeoutError):
                        async with asyncio.timeout(1):
                            await ear.told.wait()
    except TimeoutError:
        raise AssertionError(f"no recovery within {SECONDS} s: {found}") from None


async def _write(client: Sturdy) -> bool:
    name = f"probe-{now()}"
    effects = (created("labels", name),)
    record, _ = await client.write(
        "label", "POST", "/labels", effects, body={"name": name}, tries=1
    )
    return record.outcome == "ok"


async def _start(spec: Spec, path: Path) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "proof.throng", str(path),
        env={**os.environ, "PYTHONPATH": TESTS}, start_new_session=True,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    await _tell(process, msgspec.json.encode(spec).decode())
    return process


async def _tell(process: asyncio.subprocess.Process, line: str) -> None:
    assert process.stdin
    process.stdin.write(line.encode() + b"\n")
    await process.stdin.drain()


async def _finish(running: list[asyncio.subprocess.Process], site: Site) -> None:
    """Let the writers end, then the streams reach the last version, and the processes end."""
    for process in running:
        await _tell(process, "end")
    async with asyncio.timeout(2 * SECONDS):
        for process in running:
            assert process.stdout
            if await process.stdout.readline() != b"written\n":
                raise AssertionError("a process of clients died")
        version = (await truth_of(site)).last
        for process in running:
            await _tell(process, str(version))
        codes = [await process.wait() for process in running]
    if any(codes):
        raise AssertionError(f"a process of clients failed: {codes}")


async def _judge(fault: Fault, phase: Phase) -> tuple[Result, list[Violation]]:
    """Check a phase's whole history; raises AssertionError where it proves nothing."""
    progress, records = phase.progress, list(read_records(phase.paths))
    violations = await asyncio.to_thread(check, records, await truth_of(phase.site))
    reads = [one.invoked for one in records if is_read(one)]
    events = sum(one.kind == "event" for one in records)
    under = reads_under(reads, progress.injections)
    if not under or not events or len(reads) == events:
        raise AssertionError(
            f"{fault.name}: {len(reads)} reads were checked, {events} of them events, {under}"
            " under the fault: this proves nothing"
        )
    recovery = [recovery_of(one, records) for one in progress.injections]
    seconds = time.monotonic() - progress.begun
    result = Result(
        fault.name, round(seconds, 1), len(progress.injections), len(records), len(reads), events,
        under,        len(violations), sum(one.status == INTERNAL for one in records), recovery,
    )  # fmt: skip
    return result, violations


def is_read(record: Record) -> bool:
    """Tell whether it is one response or one event that the checker judged."""
    return record.told is not None or (record.shown is not None and record.kind != "settled")
