"""The rows of the table, by what is measured."""

from types import ModuleType

from benchmarks.lines import imports, pages

MODULES: tuple[ModuleType, ...] = (imports, pages)
"""Each with LINES and `async def measure(bench: Bench) -> list[Measure]`."""
