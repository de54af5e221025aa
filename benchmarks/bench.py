"""What every line of the benchmark is given: how much to do, and where the data is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.data import Books, prepare
from freshledger.embedded import EmbeddedServer

FOLDER = Path(__file__).parent / ".data"
"""Kept between runs, and ignored by git: making ten million rows takes minutes."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: `rows` is the usual ledger, `most_rows` the largest one.

    `every` is of how many questions one is asked; `commits` are those of a round of streams.
    """

    rounds: int
    seconds: float
    least_rows: int
    rows: int
    most_rows: int
    streams: tuple[int, ...]
    bulk_rows: int
    import_rows: int
    import_round_rows: int
    every: int
    commits: int


FULL = Size(
    rounds=5,
    seconds=5,
    least_rows=10_000,
    rows=1_000_000,
    most_rows=10_000_000,
    streams=(1, 100, 1000),
    bulk_rows=100_000,
    import_rows=1_000_000,
    import_round_rows=200_000,
    every=1,
    commits=30,
)
SMOKE = Size(
    rounds=1,
    seconds=0.5,
    least_rows=1_000,
    rows=10_000,
    most_rows=10_000,
    streams=(1, 10),
    bulk_rows=1_000,
    import_rows=2_000,
    import_round_rows=1_000,
    every=10,
    commits=3,
)


@dataclass(frozen=True, slots=True)
class Bench:
    """One run: `say` tells the terminal what is going on."""

    size: Size
    server: EmbeddedServer
    say: Callable[[str], None]

    @property
    def folder(self) -> Path:
        """Where a line may keep files; that of a smoke run is thrown away."""
        return self.server.data_dir.parent

    async def books(self, rows: int) -> Books:
        """Return the ledger of so many rows, made now if it is not there yet."""
        return await prepare(self.server, rows, self.say)
