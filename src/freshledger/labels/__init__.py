"""Labels on transactions."""
