"""A demo ledger, the same at every making: five years of somebody's wallets."""
