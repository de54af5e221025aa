"""The experiments that reproduce stale pages, and the verdict they allow."""
