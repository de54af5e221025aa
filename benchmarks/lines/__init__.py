"""The rows of the table, by what is measured."""

from types import ModuleType

from benchmarks.lines import bulk, exports, imports, pages, start

MODULES: tuple[ModuleType, ...] = (pages, imports, bulk, exports, start)
"""Each with LINES and `async def measure(bench: Bench) -> list[Measure]`."""
