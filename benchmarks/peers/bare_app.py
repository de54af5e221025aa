"""The limit: a bare Quart handler on a pool of asyncpg, served by Hypercorn as freshledger is.

    DATABASE_URL=… LEDGER=… TOKEN=… python -m benchmarks.peers.bare_app PORT

It sends the statements that freshledger sends, and answers the same bytes; it has no sessions,
hooks, filters or errors. With If-None-Match it looks up the token and the version alone. LEDGER
and TOKEN are what its statements are recorded with.
"""

import hashlib
import os
import sys
from functools import partial

import asyncpg
import uvloop
from hypercorn.asyncio import serve
from quart import Quart, Response, request

from benchmarks.peers.bare_answer import body_of, version_of
from benchmarks.peers.statements import HTTP_NOT_MODIFIED, Recorded, Statement, record
from freshledger.cli.listening import hypercorn_config, listen
from freshledger.settings import Settings

CONNECTIONS, ASSET = 16, "BTC"
HTTP_UNAUTHORIZED = 401


def make_app(recorded: Recorded, pool: asyncpg.Pool) -> Quart:
    """Make an app that sends what was recorded, with each request's own token and asset."""
    app = Quart(__name__)

    @app.get("/ledgers/<int:ledger_id>/newest")
    async def list_newest(ledger_id: int) -> Response:
        secret = request.headers.get("Authorization", "").removeprefix("Bearer ")
        asked = {"hash": hashlib.sha256(secret.encode()).digest(), "asset": request.args["asset"]}
        seen = request.headers.get("If-None-Match")
        async with pool.acquire() as connection:
            if seen:
                member = await connection.fetchrow(*_sent(recorded.unchanged[0], asked))
                tag = f'"{member["version"]}"' if member else None
                if tag == seen:
                    return Response(b"", HTTP_NOT_MODIFIED, headers={"ETag": tag})
            answers = [await connection.fetch(*_sent(one, asked)) for one in recorded.page]
        if not all(answers):
            return Response(b"", HTTP_UNAUTHORIZED)
        tag = f'"{version_of(answers)}"'
        body = body_of(answers, ledger_id)
        return Response(body, headers={"ETag": tag, "Content-Type": "application/json"})

    return app


def _sent(statement: Statement, asked: dict[str, object]) -> tuple[object, ...]:
    """Return the statement, and its values with what this request asks for in their places."""
    values = (
        asked["hash"] if isinstance(one, bytes) else asked["asset"] if one == ASSET else one
        for one in statement.values
    )  # fmt: skip
    return statement.text, *values


async def main(port: int) -> None:
    """Serve until somebody ends the process."""
    url, ledger = os.environ["DATABASE_URL"], os.environ["LEDGER"]
    path = f"/api/v1/ledgers/{ledger}/transactions?asset={ASSET}"
    recorded = await record(url, path, os.environ["TOKEN"])
    server = {"timezone": "UTC", "jit": "off", "default_transaction_read_only": "on"}
    opening = partial(
        asyncpg.create_pool, url, min_size=CONNECTIONS, max_size=CONNECTIONS,
        server_settings=server,
    )  # fmt: skip
    with listen(Settings(port=port)) as listener:
        async with opening() as pool:
            app = make_app(recorded, pool)
            await serve(app, hypercorn_config(listener.detach()))


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
