"""What every served app is forked from: a process that has imported all causes and servers."""

import gunicorn.app.base
import hypercorn.asyncio
import uvicorn
import waitress.server

from freshledger.diagnosis.catalogue import load_causes

__all__ = ["gunicorn", "hypercorn", "load_causes", "uvicorn", "waitress"]

load_causes()
