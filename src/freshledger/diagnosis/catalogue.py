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


NOT_RUN: tuple[NotRun, ...] = (
    NotRun(
        id="H2",
        title="the page comes back from the browser's back/forward cache or a restored tab",
        fix="Answer with Cache-Control: no-store, or load anew on a `pageshow` event whose "
        "`persisted` is true.",
        reason="It takes a real browser and somebody who presses Back: no request is made that an "
        "experiment could see.",
    ),
    NotRun(
        id="H3",
        title="the page's own script shows what it fetched once, or hides that a fetch failed",
        fix="Fetch anew when the page is shown and after each write, show failed requests, and let "
        "the server tell of changes.",
        reason="The old copy is a variable of a script in the browser: there is no browser here "
        "that runs scripts, and a program that plays one would show only itself.",
    ),
    NotRun(
        id="H4",
        title="the page's SELECT is answered by a result cache between the app and the database",
        fix="Switch the cache off for the table, give it a short time to live, or ask the database "
        "at its own address and compare.",
        reason="It takes ProxySQL, pgpool-II or a warehouse such as Redshift; MariaDB's own query "
        "cache forgets what a write touches, so that it shows nothing old.",
    ),
)
