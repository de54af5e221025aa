"""All known causes: those of causes/, by module, and those that have no experiment here."""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from freshledger.diagnosis import causes
from freshledger.diagnosis.cause import Cause, NotRun

GROUPS = {
    "A": "lifetime and scope of the session",
    "B": "a transaction that still reads its snapshot",
    "C": "objects that the session already holds",
    "D": "the write is not there, or the session is not told of it",
    "E": "a copy outside the database",
    "F": "the question is frozen, or another one",
    "G": "another database",
    "H": "outside the application",
}
"""What the causes of each letter have in common."""


@cache
def load_causes() -> Mapping[str, Cause]:
    """Return each cause by its id, in order; imports what the experiments need."""
    found = [
        import_module(f"{causes.__name__}.{module.name}").CAUSE
        for module in iter_modules(causes.__path__)
    ]
    return {cause.id: cause for cause in sorted(found, key=lambda cause: cause.id)}


NOT_RUN: tuple[NotRun, ...] = ()
