"""The feed of versions."""
