"""Reading a file as the import does: recognise it, then parse it."""

from collections import defaultdict
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from freshledger.amounts import EXACT
from freshledger.imports.formats import FORMATS, detect
from freshledger.imports.formats.records import Movement, Options, Problem

DATA = Path(__file__).parents[4] / "shared" / "data"


class Reading:
    """What a file gave."""

    def __init__(self, slug, records):
        self.slug, self.records = slug, records
        self.movements = [r for r in records if isinstance(r, Movement)]
        self.problems = [r for r in records if isinstance(r, Problem)]
        self.fatal = [p for p in self.problems if p.fatal]

    @property
    def identities(self):
        return [m.identity for m in self.movements]

    @property
    def sums(self):
        totals = defaultdict(Decimal)
        for m in self.movements:
            totals[m.asset] = EXACT.add(totals[m.asset], m.amount)
        return dict(totals)

    def one(self, kind):
        (movement,) = [m for m in self.movements if m.type == kind]
        return movement


def read_file(content, slug=None, **options):
    content = content.encode() if isinstance(content, str) else content
    if slug is None:
        found = detect(content[: 64 * 1024])
        assert found is not None, "not recognised"
        slug = found.slug
    if "timezone" in options:
        options["timezone"] = ZoneInfo(options["timezone"])
    return Reading(slug, list(FORMATS[slug].parse(BytesIO(content), Options(**options))))


@pytest.fixture
def read():
    return read_file


@pytest.fixture
def sample():
    def find(name):
        path = DATA / name
        if not path.exists():
            pytest.skip(f"the sample {name} is not here")
        return path.read_bytes()

    return find
