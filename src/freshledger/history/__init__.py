"""What changed, by version."""
