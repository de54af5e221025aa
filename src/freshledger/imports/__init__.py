"""From files into a ledger, and out again."""
