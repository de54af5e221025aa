"""Wallets and their own addresses."""
