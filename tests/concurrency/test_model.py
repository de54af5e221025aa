"""The API beside a model of it: whatever is asked, in any order, the two stay the same.

Hypothesis draws the requests; the model says what each has to answer, what the list, its sums
and the ledger's version are after it.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from books import make_books, signed_in
from freshledger.app import create_app
from freshledger.transactions import bulk, repository
from freshledger.web import freshness
from proof.model import Model, Movement
from proof.pages import shown_list

ADDRESSES = (None, "0x" + "a" * 40, "0x" + "b" * 40)
NOTES = st.sampled_from(["", "rent", "salary", "gift"])
AMOUNTS = st.sampled_from(["1", "-2.5", "0.00000001", "1000000000000000000000.5"])
ASSETS = st.sampled_from(["BTC", "ETH"])
PLACES = st.integers(0, 1000)
"""Which of the things that are there, counted round."""

EXAMPLES, STEPS = 14, 30


@dataclass
class Bench:
    """The application and somebody in psql, in a loop of their own."""

    runner: asyncio.Runner
    app: Any
    psql: asyncpg.Connection

    def run(self, waiting: Any) -> Any:
        return self.runner.run(waiting)


@pytest.fixture
def bench(settings: Any) -> Iterator[Bench]:
    with asyncio.Runner() as runner:
        app = create_app(settings)
        serving = app.test_app()
        runner.run(serving.__aenter__())
        psql = runner.run(asyncpg.connect(settings.database_url))
        yield Bench(runner, app, psql)
        runner.run(psql.close())
        runner.run(serving.__aexit__(None, None, None))


@dataclass(frozen=True)
class Sent:
    """A request with a key that was done, and its answer."""

    method: str
    path: str
    body: Any
    headers: dict[str, str]
    status: int
    answer: bytes


class ApiBesideModel(RuleBasedStateMachine):
    """What can be asked of a ledger; each rule tells the model what comes of it."""

    bench: Bench

    @initialize()
    def begin(self) -> None:
        self.model = Model()
        self.books = self.bench.run(make_books(self.bench.psql))
        self.ledger = self.books.ledger_id
        self.client = signed_in(self.bench.app, self.books)
        query = "INSERT INTO wallets (ledger_id, name) VALUES ($1, 'Main') RETURNING id"
        self.wallet = self.psql("fetchval", query)
        self.model.version = self.psql("fetchval", "SELECT version FROM heads WHERE ledger_id = $1")
        self.sent: Sent | None = None
        self.preview: tuple[str, dict[str, Any], dict[int, int]] | None = None
        self.tag: tuple[str, int] | None = None

    def psql(self, what: str, statement: str, *values: Any) -> Any:
        return self.bench.run(getattr(self.bench.psql, what)(statement, self.ledger, *values))

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[Any, Any]:
        """Ask once; return the response and its JSON."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._ask(method, path, body, {"X-CSRF-Token": self.books.csrf_token} | named)

    def _ask(self, method: str, path: str, body: Any, headers: dict[str, str]) -> tuple[Any, Any]:
        async def asking() -> tuple[Any, bytes]:
            response = await self.client.open(
                self.books.api + path, method=method, json=body, headers=headers
            )
            return response, await response.get_data()

        response, data = self.bench.run(asking())
        is_json = "json" in response.headers.get("Content-Type", "")
        self.answer = data
        return response, (self.bench.run(response.get_json()) if is_json else None)

    def write(
        self, method: str, path: str, body: Any = None, *, expect: int, **headers: str
    ) -> Any:
        """Change something with a key; return the answer's JSON."""
        headers["Idempotency_Key"] = uuid4().hex
        response, answer = self.ask(method, path, body, **headers)
        assert response.status_code == expect, (method, path, body, headers, self.answer)
        if expect < 400:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            self.sent = Sent(method, path, body, named, expect, self.answer)
        return answer

    def changed(self, *, really: bool = True) -> None:
        self.model.version += really

    def a_row(self, place: int) -> int:
        rows = sorted(self.model.rows)
        return rows[place % len(rows)]

    def a_label(self, place: int) -> int:
        labels = sorted(self.model.labels)
        return labels[place % len(labels)]

    has_rows = precondition(lambda self: self.model.rows)
    has_labels = precondition(lambda self: self.model.rows and self.model.labels)

    @rule(note=NOTES, amount=AMOUNTS, asset=ASSETS, counterparty=st.sampled_from(ADDRESSES),
          labelled=st.booleans())  # fmt: skip
    def create(
        self, note: str, amount: str, asset: str, counterparty: str | None, *, labelled: bool
    ) -> None:
        labels = sorted(self.model.labels)[:1] if labelled else []
        body = {"wallet_id": self.wallet, "occurred_at": "2026-01-01T00:00:00Z", "type": "other",
                "asset": asset, "amount": amount, "chain": "ethereum", "labels": labels,
                "counterparty": counterparty, "note": note}  # fmt: skip
        row = self.write("POST", "/transactions", body, expect=201)["id"]
        self.model.put(row, Movement(1, note, amount, None, asset, counterparty))
        self.model.links[row] = set(labels)
        self.changed()

    @has_rows
    @rule(place=PLACES, note=st.none() | NOTES, amount=st.none() | AMOUNTS,
          contact=st.sampled_from(["leave", "unset", "set"]),
          base=st.sampled_from(["now", "now", "*", "before", "first", "ahead", "missing"]))  # fmt: skip
    def correct(
        self, place: int, note: str | None, amount: str | None, contact: str, base: str
    ) -> None:
        row = self.a_row(place)
        values: dict[str, Any] = {"note": note, "amount": amount}
        values = {name: value for name, value in values.items() if value is not None}
        if contact != "leave":
            known = sorted(self.model.contacts)
            values["contact_id"] = known[0] if known and contact == "set" else None
        if base == "missing":
            self.write("PATCH", f"/transactions/{row}", values, expect=428)
            return
        number = self._base(row, base)
        wanted = self.model.wants(row, number, values)
        match = "*" if number is None else f'"{number}"'
        path, expect = f"/transactions/{row}", 412 if wanted is None else 200
        answer = self.write("PATCH", path, values, expect=expect, If_Match=match)
        if wanted:
            renamed = {"contact_id": "contact"}
            self.model.set(row, **{renamed.get(name, name): wanted[name] for name in wanted})
        self.changed(really=bool(wanted))
        if wanted is None:
            assert answer["current"]["version"] == self.model.rows[row].version
        else:
            assert answer["version"] == self.model.rows[row].version

    def _base(self, row: int, named: str) -> int | None:
        now = self.model.rows[row].version
        return {"now": now, "*": None, "before": max(1, now - 1), "first": 1, "ahead": now + 1}[
            named
        ]

    @has_rows
    @rule(place=PLACES, base=st.sampled_from(["now", "before", "missing"]))
    def delete(self, place: int, base: str) -> None:
        row, path = self.a_row(place), f"/transactions/{self.a_row(place)}"
        if base == "missing":
            self.write("DELETE", path, expect=428)
            return
        number = self._base(row, base)
        current = number == self.model.rows[row].version
        self.write("DELETE", path, expect=204 if current else 412, If_Match=f'"{number}"')
        if current:
            self._gone(row)
            self.changed()
            self.write("DELETE", path, expect=404, If_Match=f'"{number}"')

    def _gone(self, row: int) -> None:
        del self.model.rows[row], self.model.links[row]

    @rule()
    def make_label(self) -> None:
        name = f"label {uuid4().hex[:8]}"
        made = self.write("POST", "/labels", {"name": name}, expect=201)
        self.model.labels[made["id"]] = (name, made["version"])
        self.changed()

    @has_labels
    @rule(place=PLACES, which=PLACES, put=st.booleans())
    def label(self, place: int, which: int, *, put: bool) -> None:
        row, label = self.a_row(place), self.a_label(which)
        method = "PUT" if put else "DELETE"
        answer = self.write(method, f"/transactions/{row}/labels/{label}", expect=200)
        changes = (label in self.model.links[row]) != put
        assert answer == {"matched": 1, "changed": int(changes)}
        (self.model.links[row].add if put else self.model.links[row].discard)(label)
        self.changed(really=changes)

    @has_labels
    @rule(which=PLACES)
    def delete_label(self, which: int) -> None:
        label = self.a_label(which)
        _, version = self.model.labels.pop(label)
        self.write("DELETE", f"/labels/{label}", expect=204, If_Match=f'"{version}"')
        for links in self.model.links.values():
            links.discard(label)
        self.changed()

    @rule(address=st.sampled_from(ADDRESSES))
    def make_contact(self, address: str | None) -> None:
        name = f"contact {uuid4().hex[:8]}"
        made = self.write("POST", "/contacts", {"name": name}, expect=201)
        self.model.contacts[made["id"]] = (name, made["version"])
        self.changed()
        if address:
            body = {"address": address, "network": "evm"}
            taken = address in self.model.addresses
            path = f"/contacts/{made['id']}/addresses"
            self.write("POST", path, body, expect=409 if taken else 201)
            self.model.addresses.setdefault(address, made["id"])
            self.changed(really=not taken)

    @precondition(lambda self: self.model.contacts)
    @rule(place=PLACES)
    def delete_contact(self, place: int) -> None:
        contact = sorted(self.model.contacts)[place % len(self.model.contacts)]
        _, version = self.model.contacts.pop(contact)
        self.write("DELETE", f"/contacts/{contact}", expect=204, If_Match=f'"{version}"')
        for row, one in list(self.model.rows.items()):
            if one.contact == contact:
                self.model.set(row, contact=None)
        self.model.addresses = {
            address: owner for address, owner in self.model.addresses.items() if owner != contact
        }
        self.changed()

    @has_rows
    @rule(asset=ASSETS)
    def look_before_a_bulk_edit(self, asset: str) -> None:
        _, seen = self.ask("GET", f"/transactions/preview?asset={asset}")
        held = {row: one.version for row, one in self.model.rows.items() if one.asset == asset}
        assert seen["count"] == len(held)
        self.preview = (asset, seen, held)

    @precondition(lambda self: self.preview)
    @rule(note=NOTES)
    def annotate_what_was_seen(self, note: str) -> None:
        assert self.preview
        asset, seen, held = self.preview
        now = {row: one.version for row, one in self.model.rows.items() if one.asset == asset}
        same = now == held
        body = {"filter": f"asset={asset}", **seen, "note": note}
        answer = self.write("POST", "/transactions/bulk/note", body, expect=200 if same else 412)
        changes = [row for row in now if same and self.model.rows[row].note != note]
        for row in changes:
            self.model.set(row, note=note)
        if same:
            assert answer == {"matched": len(now), "changed": len(changes)}
        self.changed(really=bool(changes))

    @precondition(lambda self: self.sent)
    @rule()
    def send_again(self) -> None:
        """A repeated request is answered as before, and does nothing."""
        assert self.sent
        headers = self.sent.headers | {"X-CSRF-Token": self.books.csrf_token}
        response, _ = self._ask(self.sent.method, self.sent.path, self.sent.body, headers)
        assert response.headers["Idempotency-Replayed"] == "true"
        assert (response.status_code, self.answer) == (self.sent.status, self.sent.answer)

    @precondition(lambda self: self.sent)
    @rule()
    def send_something_else_with_the_same_key(self) -> None:
        assert self.sent
        key = self.sent.headers["Idempotency-Key"]
        response, answer = self.ask("POST", "/labels", {"name": "other"}, Idempotency_Key=key)
        assert (response.status_code, answer["code"]) == (422, "idempotency_key_reused")

    @has_rows
    @rule(places=st.lists(PLACES, min_size=1, max_size=3), note=NOTES)
    def somebody_in_psql(self, places: list[int], note: str) -> None:
        rows = sorted({self.a_row(place) for place in places})
        statement = "UPDATE transactions SET note = $3 WHERE ledger_id = $1 AND id = ANY($2)"
        self.psql("execute", statement, rows, note)
        for row in rows:
            self.model.set(row, note=note)
        self.changed()

    @has_rows
    @rule(place=PLACES)
    def somebody_deletes_in_psql(self, place: int) -> None:
        row = self.a_row(place)
        self.psql("execute", "DELETE FROM transactions WHERE ledger_id = $1 AND id = $2", row)
        self._gone(row)
        self.changed()

    @invariant()
    def the_list_is_the_models(self) -> None:
        response, body = self.ask("GET", "/transactions?limit=500&totals=1")
        version = int(response.headers["Ledger-Version"])
        assert version == body["version"] == body["totals"]["version"] == self.model.version
        shown = shown_list(body, version)
        rows, contacts = self.model.shown()
        assert shown.rows == rows
        assert {one["id"]: one["contact_id"] for one in body["transactions"]} == contacts
        assert (shown.count, shown.sums) == (len(rows), self.model.sums())

    @invariant()
    def a_tag_is_good_as_long_as_its_version(self) -> None:
        headers = {"If_None_Match": self.tag[0]} if self.tag else {}
        response, _ = self.ask("GET", "/transactions", **headers)
        unchanged = self.tag is not None and self.tag[1] == self.model.version
        assert response.status_code == (304 if unchanged else 200)
        self.tag = (response.headers["ETag"], self.model.version)


def draw(bench: Bench, examples: int, **options: Any) -> None:
    """Ask for so many sequences of requests, each of a new ledger."""
    machine = type("ApiBesideThisModel", (ApiBesideModel,), {"bench": bench})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            **options,
        ),
    )


def test_the_api_is_as_its_model(bench: Bench):
    draw(bench, EXAMPLES)


async def overwrite(_session: Any, past: Any, wanted: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in wanted.items() if past.now[name] != value}


PLANTED: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "an edit that looks at no version": (repository, "merge", overwrite),
    "a bulk edit of another set": (bulk, "_check", lambda *_: None),
    "a tag for all versions": (freshness, "etag", lambda _: "always"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_noticed(name: str, bench: Bench, monkeypatch: pytest.MonkeyPatch):
    module, attribute, fault = PLANTED[name]
    monkeypatch.setattr(module, attribute, fault)
    with pytest.raises(AssertionError):
        draw(bench, 50, phases=[Phase.generate], derandomize=True, report_multiple_bugs=False)
