"""The rows of the table, by what is measured."""

from types import ModuleType

from benchmarks.lines import imports

MODULES: tuple[ModuleType, ...] = (imports,)
"""Each with LINES and `async def measure(bench: Bench) -> list[Measure]`."""
