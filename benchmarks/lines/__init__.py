"""The rows of the table, by what is measured."""

from types import ModuleType

from benchmarks.lines import (
    bulk,
    depth,
    exports,
    filters,
    growth,
    imports,
    pages,
    pages_follow,
    screen,
    start,
    streams,
)

MODULES: tuple[ModuleType, ...] = (
    pages,
    depth,
    filters,
    streams,
    pages_follow,
    imports,
    bulk,
    exports,
    start,
    growth,
    screen,
)
"""Each with LINES and `async def measure(bench: Bench) -> list[Measure]`."""
