"""Ledgers and their members."""
