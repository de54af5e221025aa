"""Names for counterparties' addresses."""
