"""Counts the awaits of a request, across all tasks that it makes, and acts at one of them."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_current: ContextVar["Steps | None"] = ContextVar("steps", default=None)


class Steps:
    """Calls `act` at the `at`-th time that a task of the request is suspended."""

    def __init__(self, at: int, act: Callable[["Steps"], None]) -> None:
        self.at = at
        self.act = act
        self.taken = 0
        self.tasks: list[asyncio.Task] = []

    @property
    def reached(self) -> bool:
        return self.taken >= self.at

    def suspended(self) -> None:
        self.taken += 1
        if self.taken == self.at:
            self.act(self)

    def task(self, name: str) -> asyncio.Task:
        """The task of the coroutine function of that name."""
        return next(task for task in self.tasks if task.get_name() == name)

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
