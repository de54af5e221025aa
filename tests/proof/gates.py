"""Places where the program under test stops until it is told to go on, over HTTP.

A test arms a gate, sends a request, waits until that stands at the gate, does something else
meanwhile, and opens it. So an interleaving is driven and not hoped for.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from quart import Quart

from freshledger.web.context import public

LONGEST = 10
"""Seconds that a request stands at a gate at most."""

P = ParamSpec("P")
T = TypeVar("T")


class Gate:
    """Stops the first that passes after it was armed."""

    def __init__(self) -> None:
        self.armed = False
        self.reached = asyncio.Event()
        self.open = asyncio.Event()

    def arm(self) -> None:
        self.armed = True
        self.reached.clear()
        self.open.clear()

    async def passing(self) -> None:
        if self.armed:
            self.armed = False
            self.reached.set()
            async with asyncio.timeout(LONGEST):
                await self.open.wait()


GATES: defaultdict[str, Gate] = defaultdict(Gate)


def stopping_at(name: str, function: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Return `function` with a gate before it."""

    async def stopped(*arguments: P.args, **options: P.kwargs) -> T:
        await GATES[name].passing()
        return await function(*arguments, **options)

    return stopped


def install(app: Quart) -> None:
    """Let tests arm, await and open the gates of `app`."""

    @app.get("/gates/<name>/arm")
    @public
    async def arm(name: str) -> str:
        GATES[name].arm()
        return ""

    @app.get("/gates/<name>/reached")
    @public
    async def reached(name: str) -> str:
        async with asyncio.timeout(LONGEST):
            await GATES[name].reached.wait()
        return ""

    @app.get("/gates/<name>/open")
    @public
    async def open_it(name: str) -> str:
        GATES[name].open.set()
        return ""
