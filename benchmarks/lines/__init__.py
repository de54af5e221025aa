"""The rows of the table, by what is measured."""

from types import ModuleType

MODULES: tuple[ModuleType, ...] = ()
"""Each with LINES and `async def measure(bench: Bench) -> list[Measure]`."""
