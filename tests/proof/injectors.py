"""The faults of `make torture`: each is injected, held, and healed by a function of its own."""

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import asyncpg
import psutil

from proof import records
from proof.clients import Client
from proof.records import Record, now
from proof.stage import SECONDS, Stage
from proof.throng import Sturdy

STORM = 1.0
FROZEN = 5.0
SILENT = 3.0
HELD = 2.0
"""Seconds that faults are held."""

CROWD = 40
"""Requests at once that are more than all pools have connections."""


@dataclass
class Injection:
    """When a fault began and was over, and from when recovery counts: ns of CLOCK_MONOTONIC."""

    begun: int = 0
    over: int = 0
    since: int = 0


@dataclass(frozen=True)
class Scene:
    """What an injector may touch: the stage, a client of its own, and chance."""

    stage: Stage
    client: Sturdy
    chance: random.Random


Injector = Callable[[Scene], Awaitable[None]]

OURS = (
    "datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)


async def calm(_scene: Scene) -> None:
    """No fault: what the same load shows without one."""
    await asyncio.sleep(STORM)


async def kill_backend(scene: Scene) -> None:
    """One backend of the program is killed: PostgreSQL ends all others, and recovers."""
    async with scene.stage.postgres.connected() as psql:
        found = await psql.fetch(
            f"SELECT pid FROM pg_stat_activity WHERE {OURS} AND application_name ~ 'freshledger'"
        )
    psutil.Process(scene.chance.choice(found)["pid"]).kill()
    await scene.stage.postgres.comes_back()


async def terminate_storm(scene: Scene) -> None:
    """Every connection is terminated, again and again."""
    async with scene.stage.postgres.connected() as psql:
        ends = asyncio.get_running_loop().time() + STORM
        while asyncio.get_running_loop().time() < ends:
            await psql.execute(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OURS}"
            )
            await asyncio.sleep(0.05)


async def kill_postgres(scene: Scene) -> None:
    """All of PostgreSQL is killed at once, and started again on the same data."""
    scene.stage.postgres.signal(signal.SIGKILL)
    await scene.stage.postgres.start()


async def freeze_postgres(scene: Scene) -> None:
    """All of PostgreSQL stands still; connections stay open."""
    scene.stage.postgres.signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(FROZEN)
    finally:
        scene.stage.postgres.signal(signal.SIGCONT)


async def kill_worker(scene: Scene) -> None:
    """One of the program's processes is killed; it is over when another serves in its place."""
    before = scene.stage.workers()
    scene.chance.choice(before).kill()
    async with asyncio.timeout(SECONDS):
        while len(after := scene.stage.workers()) < len(before) or not _serves(after, before):  # noqa: ASYNC110 - another program's
            await asyncio.sleep(0.1)


def _serves(after: list[psutil.Process], before: list[psutil.Process]) -> bool:
    """Tell whether the new ones have connections to the database, which they open at their start."""
    with suppress(psutil.NoSuchProcess):
        return all(
            any(open_.status == psutil.CONN_ESTABLISHED for open_ in one.net_connections("tcp"))
            for one in after
            if one not in before
        )
    return False


async def leave(scene: Scene) -> None:
    """Clients close their connections at any moment of their writes and reads."""

    async def impatient(number: int) -> None:
        async with type(scene.client)(
            scene.client.site, scene.client.recorder, f"gone{number}"
        ) as one:
            await _leave_at_any_moment(one, scene.chance)

    await asyncio.gather(*(impatient(number) for number in range(CROWD)))


async def _leave_at_any_moment(client: Client, chance: random.Random) -> None:
    name = f"{client.name}-{records.now()}"
    effects = (records.created("labels", name),)
    begun = now()
    work: list[Awaitable[object]] = [
        client.write("label", "POST", "/labels", effects, body={"name": name}, tries=1),
        client.list(),
    ]
    task = asyncio.ensure_future(work[0])
    other = asyncio.ensure_future(work[1]) if chance.random() < 0.5 else None
    if other is None:
        work[1].close()  # type: ignore[attr-defined]
    done, _ = await asyncio.wait([task], timeout=chance.random() * 0.05)
    for one in (task, other):
        if one is not None and not one.done():
            one.cancel()
            with suppress(asyncio.CancelledError):
                await one
    if not done:
        client.recorder.add(
            Record(client.recorder.process, client.name, "label", begun, now(), "unknown",
                   "POST /labels, left", effects=effects)
        )  # fmt: skip


def lose(*faults: str) -> Injector:
    """Let one COMMIT after the other meet a fault of the proxy."""

    async def inject(scene: Scene) -> None:
        for fault in faults:
            await scene.stage.proxy.order(f"commit {fault}")

    return inject


async def reset(scene: Scene) -> None:
    """COMMITs and their replies meet a reset, then all connections break at once."""
    for fault in ("RESET_REPLY", "RESET_COMMIT"):
        await scene.stage.proxy.order(f"commit {fault}")
    await scene.stage.proxy.order("cut")


async def be_silent(scene: Scene) -> None:
    """The proxy passes nothing to anybody, for a while or until the connections are cut."""
    process = scene.stage.proxy.process
    process.send_signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(SILENT)
    finally:
        process.send_signal(signal.SIGCONT)
    if scene.chance.random() < 0.5:
        await scene.stage.proxy.order("cut")


async def exhaust(scene: Scene) -> None:
    """A lock that nobody gets, and more requests than connections: some must be refused."""
    everybody = [
        type(scene.client)(scene.client.site, scene.client.recorder, f"crowd{number}")
        for number in range(CROWD)
    ]
    async with scene.stage.postgres.connected() as psql, _all(everybody):
        async with psql.transaction():
            await psql.execute("LOCK TABLE transactions IN ACCESS EXCLUSIVE MODE")
            asked = [asyncio.create_task(client.list()) for client in everybody]
            await asyncio.wait(asked, timeout=HELD)
        shown = await asyncio.gather(*asked)
    if None not in shown:
        raise AssertionError("no request was refused: the pools were not exhausted")


@asynccontextmanager
async def _all(clients: list[Client]) -> AsyncIterator[None]:
    for client in clients:
        await client.__aenter__()
    try:
        yield
    finally:
        for client in clients:
            await client.__aexit__()


MIGRATION = (
    ("ALTER TABLE transactions ADD COLUMN planted text NOT NULL DEFAULT 'x'",
     "ALTER TABLE labels ADD COLUMN planted integer"),
    ("CREATE INDEX planted ON transactions (ledger_id, planted)",),
    ("ALTER TABLE labels DROP COLUMN planted", "ALTER TABLE transactions DROP COLUMN planted"),
)  # fmt: skip
"""A migration there and back, in transactions; the last takes the index with its column."""


async def migrate(scene: Scene) -> None:
    """Columns and an index come and go; a migration that met a deadlock is run again."""
    async with scene.stage.postgres.connected() as psql:
        for statements in MIGRATION:
            for _ in range(100):
                with suppress(asyncpg.DeadlockDetectedError, asyncpg.LockNotAvailableError):
                    async with psql.transaction():
                        await psql.execute("SET LOCAL lock_timeout = '1s'")
                        for statement in statements:
                            await psql.execute(statement)
                    break
            else:
                raise AssertionError(f"no moment was found for {statements}")
            await asyncio.sleep(0.2)


@dataclass(frozen=True)
class Fault:
    """A fault's name in the table, and its injector.

    `kill`: recovery counts from its beginning. `slow`: while it goes on, little can be read.
    """

    name: str
    inject: Injector
    kill: bool = False
    slow: bool = False


FAULTS = {
    "calm": Fault("none, for comparison", calm),
    "backend": Fault("a backend killed", kill_backend, kill=True, slow=True),
    "storm": Fault("pg_terminate_backend on all, for 1 s", terminate_storm, slow=True),
    "postgres": Fault(
        "PostgreSQL killed -9 and started again", kill_postgres, kill=True, slow=True
    ),
    "worker": Fault("a worker killed -9", kill_worker, kill=True),
    "gone": Fault("clients gone at random moments", leave),
    "reply": Fault("replies to COMMIT lost", lose("LOSE_REPLY", "LOSE_REPLY", "LOSE_REPLY")),
    "silent": Fault("the network silent for 3 s", be_silent),
    "reset": Fault("connections reset, at COMMIT and all", reset),
    "pool": Fault("pools exhausted for 2 s", exhaust, slow=True),
    "frozen": Fault("PostgreSQL stopped for 5 s", freeze_postgres, slow=True),
    "migration": Fault("a migration there and back", migrate),
}
"""By the names that the command line takes."""


async def injected(fault: Fault, scene: Scene) -> Injection:
    """Inject a fault once; returns when it is over."""
    injection = Injection(begun=now())
    await fault.inject(scene)
    injection.over = now()
    injection.since = injection.begun if fault.kill else injection.over
    return injection
