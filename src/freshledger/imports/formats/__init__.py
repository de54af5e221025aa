"""One pure parser per source: bytes in; movements, labels or contacts, and problems out."""

from freshledger.imports.formats.registry import FORMATS, detect

__all__ = ["FORMATS", "detect"]
