"""One pure parser per source: bytes in; movements, labels or contacts, and problems out."""
