"""The ledgers that are measured: skewed rows by COPY, indexes afterwards, kept between runs."""

from collections.abc import Callable
from dataclasses import dataclass

from freshledger.embedded import EmbeddedServer


@dataclass(frozen=True, slots=True)
class Books:
    """A database with one ledger of `rows` movements, and who may read and write it.

    `url` (postgresql://…) is for everybody; `token` is for `Authorization: Bearer`, `session` is
    the secret of a browser's session: the cookie `freshledger`.
    """

    url: str
    rows: int
    ledger_id: int
    token: str
    session: str


async def prepare(server: EmbeddedServer, rows: int, say: Callable[[str], None]) -> Books:
    """Return the ledger of so many rows; it is made where it is not there, or of another schema."""
    raise NotImplementedError(server, rows, say)
