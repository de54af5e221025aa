"""What every served app is forked from: a process that has imported all causes and servers."""

from importlib import import_module

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
