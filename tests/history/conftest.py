"""What tests of the history share: a person at their browser, and what the ledger holds."""

import html
import re
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
from quart import Response
from quart.testing import QuartClient

from books import Books
from freshledger.models.stamping import STAMPED

UNCOUNTED = {"transactions", "wallets", "contacts", "labels"}
"""Tables whose rows have a version, which no undo takes back."""

OUTSIDE = {"import_rows", "import_references"}


@dataclass
class Desk:
    """Acts through pages and API, and looks at the rows as psql does."""

    client: QuartClient
    psql: asyncpg.Connection
    books: Books

    async def get(self, path: str) -> str:
        answer = await self.client.get(f"{self.books.path}{path}")
        assert answer.status_code == 200, (path, answer.status_code)
        return await answer.get_data(as_text=True)

    async def says(self, path: str = "/history") -> list[str]:
        """What each entry of a page of the history says, newest first."""
        page = await self.get(path)
        found = re.findall(r'<p class="entry__says">(.*?)</p>', page, re.DOTALL)
        return [html.unescape(re.sub(r"<[^>]+>", "", text)).strip() for text in found]

    async def post(self, path: str, **form: Any) -> Response:
        headers = {"X-CSRF-Token": self.books.csrf_token}
        sent = await self._seen(path) | {name: str(value) for name, value in form.items()}
        return await self.client.post(f"{self.books.path}{path}", form=sent, headers=headers)

    async def _seen(self, path: str) -> dict[str, str]:
        """The row's version, as the form of its page has it."""
        found = re.match(r"/(transactions|labels|contacts|wallets)/([0-9]+)", path)
        if found is None:
            return {}
        version = await self.psql.fetchval(
            f"SELECT version FROM {found[1]} WHERE id = $1", int(found[2])
        )
        return {"version": str(version)} if version else {}

    async def do(self, path: str, **form: Any) -> int:
        """Post a form that is accepted; returns the ledger's version then."""
        answer = await self.post(path, **form)
        page = await answer.get_data(as_text=True)
        main = re.sub(r"\s*<[^>]+>\s*", " ", page.partition("<main")[2].partition("</main>")[0])
        assert answer.status_code == 303, f"{path} {answer.status_code} {main}"
        return await self.version()

    async def api(self, method: str, path: str, body: Any = None, **headers: str) -> Response:
        headers = {"X-CSRF-Token": self.books.csrf_token} | headers
        sent = {} if body is None else {"json": body}
        return await self.client.open(
            f"{self.books.api}{path}", method=method, headers=headers, **sent
        )

    async def version(self) -> int:
        return await self.psql.fetchval(
            "SELECT version FROM heads WHERE ledger_id = $1", self.books.ledger_id
        )

    async def content(self, *, leave_out: tuple[str, ...] = ()) -> dict[str, list[Any]]:
        """Everything in the ledger's tables, but for the rows' own versions."""
        found = {}
        for table in sorted((STAMPED | OUTSIDE) - set(leave_out)):
            version = " - 'version'" if table in UNCOUNTED else ""
            found[table] = [
                row[0]
                for row in await self.psql.fetch(
                    f"SELECT (to_jsonb(t){version})::text FROM {table} t WHERE ledger_id = $1"
                    " ORDER BY 1",
                    self.books.ledger_id,
                )
            ]
        return found


@pytest.fixture
def desk(client: QuartClient, psql: asyncpg.Connection, books: Books) -> Desk:
    return Desk(client, psql, books)
