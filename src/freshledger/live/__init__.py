"""The feed: what changed in a ledger, told once to everybody who watches it."""
