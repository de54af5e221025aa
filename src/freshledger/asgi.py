"""Hypercorn's door: hypercorn --config hypercorn.toml freshledger.asgi:app."""

from freshledger.app import create_app
from freshledger.settings import Settings

app = create_app(Settings.from_env())
