"""Reads the record of changes: what became of one row, and who it was."""
