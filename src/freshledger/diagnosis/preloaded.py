"""What every served app is forked from: a process that has imported all causes and servers.

Ctrl-C reaches neither it nor them: they end when whoever started them does.
"""

import signal
from importlib import import_module

signal.signal(signal.SIGINT, signal.SIG_IGN)

MODULES = (
    "gunicorn.app.base",
    "gunicorn.workers.sync",
    "hypercorn.asyncio",
    "psycopg",
    "pymysql",
    "sqlalchemy.dialects.mysql.pymysql",
    "sqlalchemy.dialects.postgresql.asyncpg",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite",
    "uvicorn",
    "waitress.server",
)
"""What takes its time to be imported, and is imported late: by an app's engine, or its server."""

for _module in MODULES:
    import_module(_module)

import_module("freshledger.diagnosis.catalogue").load_causes()
