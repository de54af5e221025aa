"""Reading bytes as a format, and the public samples where they are at hand."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from freshledger.imports.formats import FORMATS
from freshledger.imports.formats.records import Options, Record

SAMPLES = Path(__file__).parents[4] / "shared/data"

Read = Callable[..., list[Record]]


@pytest.fixture(scope="session")
def read() -> Read:
    """Everything that a format makes of some bytes."""

    def read_as(slug: str, content: bytes, **options: object) -> list[Record]:
        return list(FORMATS[slug].parse(BytesIO(content), Options(**options)))

    return read_as


@pytest.fixture(scope="session")
def sample() -> Callable[[str], Path]:
    """A file of ../shared/data; the test is skipped, saying so, where it is missing."""

    def find(name: str) -> Path:
        path = SAMPLES / name
        if not path.is_file():
            pytest.skip(f"the sample ../shared/data/{name} is not here")
        return path

    return find
