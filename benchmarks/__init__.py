"""Measurements: `make bench` runs those of docs/performance.md; none of them is a test."""
