"""What an app under experiment tells about a request, in a header beside its page."""

import json
import os
import threading
from collections.abc import Iterable
from typing import Any

import msgspec

from freshledger.diagnosis.copies import Heard
from freshledger.diagnosis.tables import Rows, Transaction

HEADER = "Evidence"
LOOK = "Look"
"""The request's own number, which an answer that was made for another one cannot know."""

REMEDY = "Remedy"


class Evidence(msgspec.Struct, frozen=True):
    """What was seen of one answer: who made it, what was sent for it, what the wire said.

    `thread` read the page's table, or, where nobody did, answered.
    """

    look: str = ""
    process: int = 0
    thread: str = ""
    sent: tuple[dict[str, str], ...] = ()
    wire: Rows | None = None


def header(look: str, heard: Heard) -> str:
    """Return what the header says of the request that is running."""
    return json.dumps(
        {
            "look": look,
            "process": os.getpid(),
            "thread": heard.thread or threading.current_thread().name,
            "sent": [
                {"sql": sent.sql, "parameters": sent.parameters, "backend": sent.backend}
                for sent in heard.sent
            ],
            "wire": heard.wire,
        }
    )


def shown(transactions: Iterable[Any]) -> dict[str, list[tuple[int, str]]]:
    """Return the page: of each transaction what a reader would see."""
    return {"transactions": [(each.id, each.status) for each in transactions]}


PAGE_TABLE = Transaction.__tablename__
