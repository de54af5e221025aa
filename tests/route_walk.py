"""Walks all routes of the application with the ids of two ledgers: one's own, and a foreign one.

PARAMETERS says what each parameter of any route names. It is the one place to add to.
"""

import asyncio
import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import asyncpg
from quart import request
from werkzeug.datastructures import ImmutableMultiDict

from freshledger.app import Freshledger
from people import Person, come, make_ledger, version_of

HARMLESS = None
CHOICES = {"accounts": "label", "labels": "label", "contacts": "contact", "wallets": "wallet"}

PARAMETERS: dict[str, Any] = {
    # Of paths
    "wallet_id": "wallet",
    "contact_id": "contact",
    "label_id": "label",
    "transaction_id": "transaction",
    "import_id": "import",
    "export_id": "export",
    "filter_id": "filter",
    "token_id": "token",
    "user_id": "user",
    "session_id": "session",
    "invitation_id": "invitation",
    "token": "invitation_secret",
    "number": "version_number",
    "address_id": {"wallets": "wallet_address", "contacts": "contact_address"},
    # Of query strings, forms and bodies: rows
    "wallet": "wallet",
    "contact": "contact",
    "label": "label",
    "labels": "label",
    "into": {"labels": "label", "contacts": "contact"},
    "id": "transaction",
    "ids": "transactions",
    "add": "labels",
    "remove": "labels",
    "addresses": "addresses",
    "cursor": "cursor",
    "filter": "where",
    "where": "where",
    "group_key": "txid",
    "txid": "txid",
    "address": "address",
    "own_address": "address",
    "counterparty": "address",
    "q": "txid",
    # Values that name no row
    **dict.fromkeys(
        (
            "actor", "what", "operation", "table", "row", "in_part", "csrf_token", "email", "name", "password", "current", "ledger_name", "next", "scope",
            "days", "role", "typed_name", "is_admin", "time_zone", "theme", "page_size", "color",
            "note", "chain", "network", "type", "asset", "contract", "status", "from", "to",
            "min_amount", "max_amount", "sort", "limit", "at", "totals", "seen", "back", "do",
            "text", "every", "everywhere", "group", "digest", "count", "version", "occurred_at",
            "amount", "content", "format", "dry_run", "without_problems", "files", "timezone",
            "block", "contact_was", "was", "keep_name", "keep_note", "keep_color", "keep_type",
            "keep_counterparty", "keep_occurred_at", "keep_amount", "keep_contact",
            "fiat_value", "fiat_currency", "file", "transactions", "since", "epoch",
            "idempotency_key",
        ),
        HARMLESS,
    ),
}  # fmt: skip
"""What each parameter names; a dict where that depends on the feature."""

DEFAULTS = {
    "name": "Something", "email": "nobody@example.org", "scope": "read", "days": "30",
    "role": "viewer", "color": "blue", "type": "receive", "asset": "BTC", "amount": "1",
    "status": "confirmed", "occurred_at": "2026-01-02T03:04:05Z", "do": "label",
    "text": "Something", "note": "Something", "format": "rotki", "network": "evm",
    "chain": "ethereum", "content": "address,name,blockchain\n", "digest": "x", "count": "1",
    "version": "1",
}  # fmt: skip
"""What a view accepts where nothing foreign is asked for."""

USUAL = {"ids", "name", "note", "color"}
"""What is sent to the API wherever it is taken: some bodies must not be empty."""
PUBLIC = {"static", "home", "openapi", "api_docs", "accounts.login", "accounts.sign_in",
          "accounts.setup", "accounts.accept_setup"}  # fmt: skip
SIGNS_OUT = {"accounts.logout", "accounts.delete_session"}
"""What ends the session that the walk goes on with."""
ASKED = {"transactions.selections.confirm_edit": {"do": "label", "text": "Something"}}
"""Pages that must be asked for something."""
STREAMS = {"live.follow_ledger", "live.follow_ledger_api", "live.follow_account"}
"""What has no end: a stream says all that it can say of a ledger in its first event."""
NEEDS_MORE = {"exports.download", "imports_api.get_file"}
"""What a row in the database is not enough for: a file belongs to it."""
OF_VIEWERS = {
    "ledgers.leave_ledger",  # it is their own membership
    "ledgers.revoke_token",  # their own, also one from when they were an editor
    "exports.create_export",  # a reading that is spooled to a file; nothing in the ledger changes
    "exports.cancel_export",
    "imports_api.create_export",
    "imports_api.delete_export",
}
"""What a viewer may do though it is no GET."""

CURSOR: dict[str, str] = {"cursor": ""}
"""A place in the foreign ledger's list."""

SECONDS = 20
"""A route that takes longer is a stream that does not say that the ledger is not found."""
SECRET = f"secret{uuid4().hex}"
"""It stands in every text of the foreign ledger."""


@dataclass
class World:
    """A ledger with a row of every kind, and its owner."""

    ledger_id: int
    owner: Person
    rows: dict[str, Any]


@dataclass(frozen=True)
class Route:
    """One method of one rule of the application."""

    endpoint: str
    rule: str
    method: str
    arguments: tuple[str, ...]

    def path(self, **values: Any) -> str:
        return re.sub(r"<(?:\w+:)?(\w+)>", lambda found: str(values[found[1]]), self.rule)

    @property
    def of_a_ledger(self) -> bool:
        return "ledger_id" in self.arguments

    @property
    def reads(self) -> bool:
        return self.method == "GET"

    @property
    def is_api(self) -> bool:
        return self.rule.startswith("/api/")

    def kind(self, name: str) -> str | None:
        """What a parameter of this route names; fails where nobody has said so."""
        name = name.removeprefix("not.")
        assert name in PARAMETERS, f"{self.endpoint}: what does its parameter {name} name?"
        kind = PARAMETERS[name]
        feature = re.split(r"[._]", self.endpoint)[0]
        if isinstance(kind, dict):
            assert feature in kind, f"{self.endpoint}: what does its parameter {name} name?"
            return kind[feature]
        return kind


class Noted(ImmutableMultiDict):
    """Query strings and forms that note which names a view asks for."""

    asked: dict[str, set[str]] = {}  # noqa: RUF012 - one for the whole test

    def _note(self, name: str) -> None:
        if request.endpoint:
            self.asked.setdefault(request.endpoint, set()).add(name)

    def __getitem__(self, key):
        self._note(key)
        return super().__getitem__(key)

    def getlist(self, key, type=None):  # noqa: A002 - Werkzeug's
        self._note(key)
        return super().getlist(key, type)

    def __contains__(self, key):
        self._note(key)
        return super().__contains__(key)


def routes_of(app) -> list[Route]:
    return [
        Route(rule.endpoint, rule.rule, method, tuple(sorted(rule.arguments)))
        for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule)
        for method in sorted(rule.methods - {"HEAD", "OPTIONS"})
        if rule.endpoint != "static"
    ]


INSERTS = {
    "wallet": "INSERT INTO wallets (ledger_id, name, note) VALUES ($1, $2, $2) RETURNING id",
    "contact": "INSERT INTO contacts (ledger_id, name, note) VALUES ($1, $2, $2) RETURNING id",
    "label": "INSERT INTO labels (ledger_id, name) VALUES ($1, $2) RETURNING id",
    "wallet_address": "INSERT INTO wallet_addresses (ledger_id, wallet_id, chain, address)"
    " SELECT $1, id, 'ethereum', '0x' || md5($2) || '01234567' FROM wallets WHERE ledger_id = $1 RETURNING id",
    "contact_address": "INSERT INTO contact_addresses (ledger_id, contact_id, network, address)"
    " SELECT $1, id, 'evm', '0x' || md5($2) || '01234567' FROM contacts WHERE ledger_id = $1 RETURNING id",
    "transaction": "INSERT INTO transactions (ledger_id, wallet_id, txid, group_key, identity,"
    " occurred_at, type, asset, amount, counterparty, chain, own_address, note)"
    " SELECT $1, id, 'tx' || md5($2), 'tx' || md5($2), n, now(), 'receive', 'BTC', 1,"
    " '0x' || md5($2) || '01234567', 'ethereum', '0x' || md5($2) || '01234567', $2"
    " FROM wallets, generate_series(1, 26) n WHERE ledger_id = $1 RETURNING id",
    "link": "INSERT INTO transaction_labels (ledger_id, transaction_id, label_id, occurred_at)"
    " SELECT $1, t.id, l.id, occurred_at FROM transactions t JOIN labels l USING (ledger_id)"
    " WHERE $2 <> '' AND ledger_id = $1 RETURNING label_id",
    "import": "INSERT INTO imports (ledger_id, wallet_id, status, options, error)"
    """ SELECT $1, id, 'staged', '{"token": "gone"}', $2 FROM wallets WHERE ledger_id = $1 RETURNING id""",
    "import_file": "INSERT INTO import_files (ledger_id, import_id, name, format, digest, size)"
    " SELECT $1, id, $2, 'electrum', 'x', 1 FROM imports WHERE ledger_id = $1 RETURNING id",
    "token": "INSERT INTO tokens (ledger_id, user_id, name, scope, token_hash)"
    " SELECT $1, user_id, $2, 'write', sha256(convert_to($2, 'UTF8'))"
    " FROM members WHERE ledger_id = $1 RETURNING id",
    "filter": "INSERT INTO saved_filters (ledger_id, user_id, name, query)"
    " SELECT $1, user_id, $2, 'q=' || $2 FROM members WHERE ledger_id = $1 RETURNING id",
    "export": "INSERT INTO exports (ledger_id, user_id, format, query, error)"
    " SELECT $1, user_id, 'csv', '', $2 FROM members WHERE ledger_id = $1 RETURNING id",
}


async def make_world(psql, owner: Person, words: str) -> World:
    """A ledger whose every text is `words`."""
    ledger_id = await make_ledger(psql, owner=owner)
    await psql.execute("UPDATE ledgers SET name = $2 WHERE id = $1", ledger_id, words)
    rows: dict[str, Any] = {"user": owner.id}
    for kind, insert in INSERTS.items():
        rows[kind] = await psql.fetchval(insert, ledger_id, words)
    digest = await psql.fetchval("SELECT md5($1)", words)
    rows |= {
        "session": await psql.fetchval("SELECT id FROM sessions WHERE user_id = $1", owner.id),
        "invitation": 1,
        "invitation_secret": "nobody-has-this",
        "txid": f"tx{digest}",
        "address": f"0x{digest}01234567",
        **CURSOR,
        "transactions": [rows["transaction"]],
        "labels": [rows["label"]],
        "addresses": [{"network": "evm", "address": f"0x{digest}01234567"}],
        "where": urlencode({"label": rows["label"], "wallet": rows["wallet"]}),
        "version_number": await version_of(psql, ledger_id),
    }
    return World(ledger_id, owner, rows)


@dataclass(frozen=True)
class Described:
    """What the API's description says that an operation reads."""

    names: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()


@dataclass
class Walk:
    """Asks one route after the other, and looks after each whether the foreign ledger is whole."""

    app: Freshledger
    psql: asyncpg.Connection
    described: dict[tuple[str, str], Described]
    foreign: World
    version: int
    own: World
    changed: bool = False

    async def ask(self, route: Route, path: str, *, client=None, sent=None, headers=None):
        """Send a request; `sent` goes where this route reads it."""
        headers = {"Last-Event-ID": str(self.version), "If-Match": "*"} | (headers or {})
        if client is None:
            client = self.own.owner.client
            headers["X-CSRF-Token"] = self.own.owner.csrf
            self.changed |= not route.reads
        options: dict[str, Any] = {}
        if route.reads:
            options["query_string"] = sent or {}
        elif route.is_api:
            options["json"] = sent or {}
        else:
            options["form"] = {name: _text(value) for name, value in (sent or {}).items()}
        opened = _follow if route.endpoint in STREAMS else _open
        async with asyncio.timeout(SECONDS):
            answer, body = await opened(client, path, route.method, headers=headers, **options)
        said = f"{route.method} {path} {sent} answers {answer.status_code}"
        assert answer.status_code < 500, said
        assert SECRET not in body + str(answer.headers), f"{said}, and shows something of it"
        now = await version_of(self.psql, self.foreign.ledger_id)
        assert now == self.version, f"{said}, and changed something there"
        return answer.status_code

    async def renew(self) -> None:
        """Make the own ledger anew, if a request may have emptied it."""
        if self.changed:
            self.own = await make_world(self.psql, self.own.owner, uuid4().hex)
            self.changed = False

    def path(self, route: Route, *foreign: str) -> str:
        """The route's path in the own ledger, but with the foreign ids of these parameters."""
        values: dict[str, Any] = {}
        for name in route.arguments:
            world = self.foreign if name in foreign else self.own
            is_ledger = name == "ledger_id"
            values[name] = world.ledger_id if is_ledger else world.rows[route.kind(name) or ""]
        return route.path(**values)

    def accepted(self, route: Route) -> dict[str, Any]:
        """What the route takes where nothing is foreign."""
        if route.reads:
            return ASKED.get(route.endpoint, {})
        names = set(PARAMETERS)
        if route.is_api:
            said = self.described.get((route.endpoint, route.method), Described())
            names = {*said.required, *(USUAL & said.names)}
        return {name: self.value(route, name, self.own) for name in names}

    def value(self, route: Route, name: str, world: World) -> Any:
        if name == "idempotency_key":
            return uuid4().hex  # what is asked twice is meant twice
        try:
            kind = route.kind(name)
        except AssertionError:  # of another feature
            return ""
        return DEFAULTS.get(name, "") if kind is HARMLESS else world.rows[kind]

    def names(self, route: Route) -> list[str]:
        """All that the route is known to read, beside its path."""
        said = self.described.get((route.endpoint, route.method), Described())
        return sorted(said.names | Noted.asked.get(route.endpoint, set()))


async def _open(client, path: str, method: str, **options) -> tuple[Any, str]:
    answer = await client.open(path, method=method, **options)
    return answer, await answer.get_data(as_text=True)


async def _follow(client, path: str, method: str, **options) -> tuple[Any, str]:
    """Read a stream up to its first event: it has no end. A refusal is an answer like others."""
    async with client.request(path, method=method, **options) as connection:
        await connection.send_complete()
        body = await connection.receive()
        if connection.headers["Content-Type"] == "text/event-stream":
            while b"event: " not in body:
                body += await connection.receive()
            await connection.disconnect()
    return await connection.as_response(), body.decode()


def _text(value: Any) -> str:
    return str(value[0] if isinstance(value, list) else value)


async def read_description(app: Freshledger) -> dict[tuple[str, str], Described]:
    """What /openapi.json says of query strings and bodies, by endpoint and method."""
    answer = await app.test_client().get("/openapi.json")
    schema = json.loads(await answer.get_data())
    found = {}
    for route in routes_of(app):
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route.rule)
        operation = schema["paths"].get(path, {}).get(route.method.lower())
        if operation:
            found[route.endpoint, route.method] = _describe(operation, schema)
    return found


def _describe(operation: dict, schema: dict) -> Described:
    names = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"}
    required: set[str] = set()
    for body in operation.get("requestBody", {}).get("content", {}).values():
        name = body["schema"].get("$ref", "").rpartition("/")[2]
        struct = schema["components"]["schemas"].get(name, {})
        names |= set(struct.get("properties", {}))
        required |= set(struct.get("required", ()))
    return Described(frozenset(names), frozenset(required))


async def make_versions(psql: asyncpg.Connection, world: World) -> None:
    """Give a ledger versions that no other one has."""
    for _ in range(200):
        await psql.execute("UPDATE ledgers SET name = name WHERE id = $1", world.ledger_id)
    world.rows["version_number"] = await version_of(psql, world.ledger_id)


async def begin(app: Freshledger, psql: asyncpg.Connection) -> Walk:
    victim, eve = await come(app, psql), await come(app, psql)
    foreign = await make_world(psql, victim, SECRET)
    await make_versions(psql, foreign)
    own = await make_world(psql, eve, uuid4().hex)
    listed = await victim.get(f"/api/v1/ledgers/{foreign.ledger_id}/transactions?limit=25")
    CURSOR["cursor"] = (await listed.get_json())["next"]
    foreign.rows |= CURSOR
    assert SECRET in await listed.get_data(as_text=True)  # it would be seen, if it were shown
    version = await version_of(psql, foreign.ledger_id)
    return Walk(app, psql, await read_description(app), foreign, version, own)
