"""Counts the awaits of a request, across all its tasks, and lets its client leave at one."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from freshledger.web.session import FreshQuart

_current: ContextVar["Steps | None"] = ContextVar("steps", default=None)


class Steps:
    """Calls `act` at the `at`-th time that a task of the request is suspended."""

    def __init__(self, at: int, act: Callable[["Steps"], None]) -> None:
        self.at = at
        self.act = act
        self.taken = 0
        self.tasks: list[asyncio.Task] = []
        self.gone = asyncio.Event()

    @property
    def reached(self) -> bool:
        return self.taken >= self.at

    def suspended(self) -> None:
        self.taken += 1
        if self.taken == self.at:
            self.act(self)

    def task(self, name: str) -> asyncio.Task:
        """The task of the coroutine function whose name ends with that."""
        return next(task for task in self.tasks if task.get_name().endswith(name))

    def run(self, coroutine) -> asyncio.Task:
        """Start `coroutine` as the request."""
        token = _current.set(self)
        try:
            return asyncio.ensure_future(coroutine)
        finally:
            _current.reset(token)


@contextmanager
def counting() -> Iterator[None]:
    """Make the loop count the suspensions of tasks that belong to Steps."""
    loop = asyncio.get_running_loop()
    before = loop.get_task_factory()
    loop.set_task_factory(_make_task)
    try:
        yield
    finally:
        loop.set_task_factory(before)


def _make_task(loop, coroutine, **options) -> asyncio.Task:
    steps = _current.get()
    if steps is None:
        return asyncio.Task(coroutine, loop=loop, **options)
    name = options.pop("name", None) or coroutine.__qualname__
    task = asyncio.Task(_Counted(coroutine, steps), loop=loop, name=name, **options)
    steps.tasks.append(task)
    return task


class _Counted(Coroutine):
    """A coroutine that reports each of its suspensions."""

    def __init__(self, coroutine: Coroutine, steps: Steps) -> None:
        self._coroutine = coroutine
        self._steps = steps

    def send(self, value):
        future = self._coroutine.send(value)
        self._steps.suspended()
        return future

    def throw(self, *error):
        future = self._coroutine.throw(*error)
        self._steps.suspended()
        return future

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self):
        return self


@dataclass
class Went:
    """What was seen of one request whose client went away at an await."""

    sent: list[dict] = field(default_factory=list)
    held: int = 0
    left: list[str] = field(default_factory=list)
    reached: bool = False

    @property
    def acknowledged(self) -> bool:
        return any(200 <= message.get("status", 500) < 400 for message in self.sent)


def cancel(times: int) -> Callable[[Steps], None]:
    """Cancel the request as Quart does when its client leaves, `times` turns in a row."""

    def act(steps: Steps) -> None:
        again = times
        handler = steps.task("Connection.handle_request")

        def once() -> None:
            nonlocal again
            again -= 1
            handler.cancel()
            if again:
                asyncio.get_running_loop().call_soon(once)

        once()

    return act


def disconnect(steps: Steps) -> None:
    """Let the server say that the client has left; Quart takes it from there."""
    steps.gone.set()


async def request_leaving(
    app: FreshQuart, asked: dict, steps: Steps, *, body: bytes = b"", half: bool = False
) -> Went:
    """Send a request whose client leaves at the steps' await; return when its call is over.

    Of a `half` body the end never comes.
    """
    went = Went()
    messages = [{"type": "http.request", "body": body, "more_body": half}]

    async def receive() -> dict:
        if messages:
            return messages.pop()
        await steps.gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict) -> None:
        await asyncio.sleep(0)
        went.sent.append(message)

    async with asyncio.timeout(5):
        await asyncio.wait([steps.run(app(asked, receive, send))])
    pending = [task for task in steps.tasks if not task.done()]
    went.held = app.database.checked_out
    went.left = [task.get_name() for task in pending]
    went.reached = steps.reached
    if pending:
        await asyncio.wait(pending, timeout=5)
    return went
