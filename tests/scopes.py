"""What a server tells the application of a request, for tests that stand in for the server."""

SCOPE = {
    "type": "http", "asgi": {}, "http_version": "1.1", "scheme": "http", "root_path": "",
    "query_string": b"", "client": ("127.0.0.1", 1), "server": None, "extensions": {}, "state": {},
}  # fmt: skip


def scope(method: str, path: str, headers: dict[str, str] | None = None) -> dict:
    """An HTTP request on localhost."""
    pairs = [(name.encode(), text.encode()) for name, text in (headers or {}).items()]
    named = {"method": method, "path": path, "raw_path": path.encode()}
    return SCOPE | named | {"headers": [(b"host", b"localhost"), *pairs]}
