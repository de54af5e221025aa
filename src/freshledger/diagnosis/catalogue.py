"""All known causes: those of causes/, by module, and those that have no experiment here."""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from freshledger.diagnosis import causes
from freshledger.diagnosis.cause import Cause, NotRun


@cache
def load_causes() -> Mapping[str, Cause]:
    """Return each cause by its id, in order; imports what the experiments need."""
    found = [
        import_module(f"{causes.__name__}.{module.name}").CAUSE
        for module in iter_modules(causes.__path__)
    ]
    return {cause.id: cause for cause in sorted(found, key=lambda cause: cause.id)}


NOT_RUN: tuple[NotRun, ...] = ()
