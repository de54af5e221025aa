"""Proves the contract from outside: histories recorded over HTTP, and what of them cannot be."""
