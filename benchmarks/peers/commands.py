"""How each peer is served: by the server its documentation advises, one worker process."""

import sys
from collections.abc import Sequence
from pathlib import Path

CONNECTIONS = 16


def _tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _gunicorn(app: str, port: int) -> list[str]:
    return [
        _tool("gunicorn"), "--bind", f"127.0.0.1:{port}", "--workers", "1",
        "--worker-class", "gthread", "--threads", str(CONNECTIONS),
        "--graceful-timeout", "1", "--no-control-socket", "--log-level", "warning", app,
    ]  # fmt: skip


def flask(port: int) -> Sequence[str]:
    """Flask on gunicorn."""
    return _gunicorn("benchmarks.peers.flask_app:app", port)


def django(port: int) -> Sequence[str]:
    """Django REST framework on gunicorn."""
    told = "DJANGO_SETTINGS_MODULE=benchmarks.peers.django_settings"
    return [*_gunicorn("django.core.wsgi:get_wsgi_application()", port), "--env", told]


def fastapi(port: int) -> Sequence[str]:
    """FastAPI on uvicorn, with uvloop and httptools where they are installed."""
    return [
        _tool("uvicorn"), "--host", "127.0.0.1", "--port", str(port), "--no-access-log",
        "--log-level", "warning", "benchmarks.peers.fastapi_app:app",
    ]  # fmt: skip


def litestar(port: int) -> Sequence[str]:
    """Litestar on granian."""
    return [
        _tool("granian"), "--interface", "asgi", "--host", "127.0.0.1", "--port", str(port),
        "--workers", "1", "--loop", "uvloop", "--log-level", "warning", "--no-access-log",
        "benchmarks.peers.litestar_app:app",
    ]  # fmt: skip


def bare(port: int) -> Sequence[str]:
    """Quart without anything, on Hypercorn."""
    return [sys.executable, "-m", "benchmarks.peers.bare_app", str(port)]


PEERS = {"Flask": flask, "FastAPI": fastapi, "Litestar": litestar, "Django": django}
