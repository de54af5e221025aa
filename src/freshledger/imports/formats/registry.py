"""Every format that can be read, by slug."""

from freshledger.imports.formats import (
    bip329,
    bitcoin_core,
    blockscout,
    electrum,
    etherscan,
    koinly,
    own,
)
from freshledger.imports.formats.records import Format

FORMATS: dict[str, Format] = {
    known.slug: known
    for module in (own, etherscan, blockscout, electrum, bitcoin_core, koinly, bip329)
    for known in module.FORMATS
}
"""In the order in which they are tried."""


def detect(head: bytes) -> Format | None:
    """Return the format whose file begins like this (64 KiB are enough), or None."""
    return next((known for known in FORMATS.values() if known.detect(head)), None)
