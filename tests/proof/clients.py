"""A client over HTTP on a connection of its own, which writes down what it does and is shown."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Self
from uuid import uuid4

import aiohttp
from multidict import CIMultiDictProxy

from proof import pages
from proof.records import Kind, Outcome, Record, Recorder, Shown, linked, now, value_set

SECONDS = 20
UNCERTAIN = "outcome_unknown"


@dataclass(frozen=True)
class Site:
    """Where clients go and who they are; `rows` and `labels` are ids."""

    address: str
    database: str
    ledger: int
    rows: tuple[int, ...]
    labels: tuple[int, ...]
    wallet: int
    browser: dict[str, str]
    program: dict[str, str]
    csrf: str

    @property
    def api(self) -> str:
        return f"/api/v1/ledgers/{self.ledger}"

    @property
    def pages(self) -> str:
        return f"/ledgers/{self.ledger}"


@dataclass(frozen=True)
class Answer:
    """A response as it arrived, or `status` 0 where none did."""

    status: int
    headers: CIMultiDictProxy[str] | dict[str, str]
    body: bytes
    invoked: int
    returned: int

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def version(self) -> int:
        """The ledger version that the answer says it shows."""
        return int(self.headers["Ledger-Version"])

    @property
    def outcome(self) -> Outcome:
        if 200 <= self.status < 400:
            return "ok"
        if self.status == 0 or (self.status == 503 and UNCERTAIN.encode() in self.body):
            return "unknown"
        return "fail"


class Client:
    """One connection; with `name` it is found in the history."""

    def __init__(self, site: Site, recorder: Recorder, name: str) -> None:
        self.site = site
        self.recorder = recorder
        self.name = name
        self.seen: dict[str, tuple[str, Shown]] = {}

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=SECONDS)
        connector = aiohttp.TCPConnector(limit=1)
        self.http = aiohttp.ClientSession(
            self.site.address, connector=connector, timeout=timeout, auto_decompress=True
        )
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.http.close()

    async def send(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str],
        body: object = None,
        form: dict[str, str] | None = None,
    ) -> Answer:
        """Ask once; a lost answer has status 0, one that nobody could be asked for 599."""
        invoked = now()
        try:
            sending = self.http.request(
                method, path, headers=headers, json=body, data=form, allow_redirects=False
            )
            async with sending as response:
                data = await response.read()
                return Answer(response.status, response.headers, data, invoked, now())
        except aiohttp.ClientConnectorError:
            return Answer(599, {}, b"", invoked, now())
        except (aiohttp.ClientError, TimeoutError, ConnectionError):
            return Answer(0, {}, b"", invoked, now())

    async def write(
        self,
        kind: Kind,
        method: str,
        path: str,
        effects: tuple[str, ...],
        *,
        body: object = None,
        row: int | None = None,
        base: int | None = None,
        tries: int = 3,
        again: bool = False,
    ) -> tuple[Record, Answer]:
        """Change something through the API; with a lost answer, again with the same key.

        `again`: also where the answer arrived, as a program does that crashed meanwhile.
        """
        headers = self.site.program | {"Idempotency-Key": uuid4().hex}
        if base is not None:
            headers["If-Match"] = f'"{base}"'
        answer = await self.send(method, self.site.api + path, headers=headers, body=body)
        invoked, lost = answer.invoked, False
        while answer.outcome == "unknown" and tries > 1:
            lost, tries = True, tries - 1
            answer = await self.send(method, self.site.api + path, headers=headers, body=body)
        outcome: Outcome = "unknown" if lost and answer.outcome == "fail" else answer.outcome
        record = self._record(kind, f"{method} {path}", replace(answer, invoked=invoked), outcome)
        record = replace(record, effects=effects, row=row, base=base)
        if again and outcome == "ok":
            repeated = await self.send(method, self.site.api + path, headers=headers, body=body)
            same = (repeated.status, repeated.body) == (answer.status, answer.body)
            record = replace(record, same_again=same if repeated.outcome == "ok" else None)
        if kind == "edit" and outcome == "ok":
            record = replace(record, answered=answer.json["version"])
        return self.recorder.add(record), answer

    async def submit_note(self, row: int, note: str, base: int) -> Record:
        """Set a note by the form in the row of a page, once."""
        path = f"{self.site.pages}/transactions/{row}/note"
        form = {"csrf_token": self.site.csrf, "version": str(base), "note": note, "back": ""}
        answer = await self.send("POST", path, headers=self.site.browser, form=form)
        record = self._record("edit", f"POST {path}", answer, answer.outcome)
        effects = (value_set(row, "note", note),)
        return self.recorder.add(replace(record, effects=effects, row=row, base=base))

    async def leave(self, row: int, label: int, after: float) -> Record:
        """Put a label on a movement, and go away `after` so many seconds without the answer."""
        path, invoked = f"/transactions/{row}/labels/{label}", now()
        with suppress(TimeoutError):
            async with asyncio.timeout(after):
                await self.send("PUT", self.site.api + path, headers=self.site.program)
        left = Answer(0, {}, b"", invoked, now())
        record = self._record("label", f"PUT {path}, left", left, "unknown")
        return self.recorder.add(replace(record, effects=(linked(row, label),)))

    async def set_value(self, row: int, column: str, text: str) -> Record:
        """Correct one column of a movement, on the version that it has now."""
        shown = await self.row(row)
        assert shown
        effects = (value_set(row, column, text),)
        base = shown.rows[row].version
        path, body = f"/transactions/{row}", {column: text}
        record, _ = await self.write("edit", "PATCH", path, effects, body=body, row=row, base=base)
        return record

    async def list(self, *, totals: bool = False) -> Shown | None:
        path = f"{self.site.api}/transactions?limit=500{'&totals=1' if totals else ''}"
        return await self._read("api", path, pages.shown_list)

    async def row(self, row: int) -> Shown | None:
        return await self._read("row", f"{self.site.api}/transactions/{row}", pages.shown_row)

    async def totals(self) -> Shown | None:
        return await self._read(
            "totals", f"{self.site.api}/transactions/totals", pages.shown_totals
        )

    async def page(self, *, block: bool = False) -> Shown | None:
        """The transactions page, or with `block` its body alone, as an open page fetches it."""
        path = f"{self.site.pages}/transactions?limit=500&totals=1"
        asked = {"HX-Request": "true", "HX-Target": "frame"} if block else {}
        return await self._read("block" if block else "page", path, pages.shown_page, asked)

    async def _read(
        self,
        kind: Kind,
        path: str,
        parse: Callable[[Any, int], Shown],
        asked: dict[str, str] | None = None,
    ) -> Shown | None:
        """Ask with the tag of the last answer; 304 shows what that answer showed."""
        is_page = kind in {"page", "block"}
        headers = (self.site.browser if is_page else self.site.program) | (asked or {})
        place = f"{kind} {path}"
        if place in self.seen:
            headers["If-None-Match"] = self.seen[place][0]
        answer = await self.send("GET", path, headers=headers)
        record = self._record(kind, path.removeprefix(self.site.api), answer, answer.outcome)
        shown = None
        if answer.status == 304:
            shown = self.seen[place][1]
            version = Shown(shown.version)
            record = replace(record, kind="not_modified", shown=version)
        elif answer.status == 200:
            text = answer.body.decode() if is_page else answer.json
            shown = parse(text, answer.version)
            record = replace(record, shown=shown)
            if "ETag" in answer.headers:
                self.seen[place] = (answer.headers["ETag"], shown)
        self.recorder.add(record)
        return shown

    def _record(self, kind: Kind, what: str, answer: Answer, outcome: Outcome) -> Record:
        return Record(
            self.recorder.process, self.name, kind, answer.invoked, answer.returned, outcome,
            what, answer.status,
        )  # fmt: skip


async def settle(condition: Callable[[], bool], changed: asyncio.Condition, seconds: float) -> bool:
    """Wait until `condition` holds, looking whenever `changed` is told; say whether it does."""
    try:
        async with asyncio.timeout(seconds), changed:
            await changed.wait_for(condition)
    except TimeoutError:
        return False
    return True
