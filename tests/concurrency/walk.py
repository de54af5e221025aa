"""Asks for every page of the application, also for those that are not written yet."""

import asyncio
from collections.abc import Iterator
from itertools import islice

from freshledger.app import Freshledger
from ledger import Ledger
from scopes import scope

UNKNOWN = 1


def paths(app: Freshledger, ledger: Ledger) -> Iterator[str]:
    """Every route that takes GET, with real ids of `ledger` in it."""
    real = {
        "ledger_id": ledger.id,
        "transaction_id": ledger.transactions[0],
        "label_id": ledger.labels[0],
        "contact_id": ledger.contacts[0],
        "wallet_id": ledger.wallet,
        "user_id": ledger.user,
        "filename": "favicon.svg",
    }
    adapter = app.url_map.bind("localhost")
    for rule in app.url_map.iter_rules():
        if "GET" in (rule.methods or ()):
            values = {name: real.get(name, UNKNOWN) for name in rule.arguments}
            yield adapter.build(rule.endpoint, values)


class Reader:
    """Somebody who reads with the same headers; a stream is left after its first part."""

    def __init__(self, app: Freshledger, headers: dict[str, str]) -> None:
        self.app = app
        self.headers = headers
        self.statuses: dict[str, int] = {}
        self.asked = 0

    async def get(self, path: str) -> None:
        """Ask for `path`; its status is kept."""
        self.asked += 1
        left = asyncio.Event()
        body = iter([{"type": "http.request", "body": b"", "more_body": False}])

        async def receive() -> dict:
            for message in islice(body, 1):
                return message
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict) -> None:
            if message["type"] == "http.response.start":
                self.statuses[path] = message["status"]
                if (b"content-type", b"text/event-stream") in _plain(message["headers"]):
                    left.set()

        await self.app(scope("GET", path, self.headers), receive, send)


def _plain(headers: list[tuple[bytes, bytes]]) -> set[tuple[bytes, bytes]]:
    return {(name.lower(), value.partition(b";")[0]) for name, value in headers}
