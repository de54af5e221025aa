"""A web application for cryptocurrency transactions whose pages are never stale."""

__version__ = "0.1.0"
