"""A ledger with rows in all its tables, made straight in the database; and what it says."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from freshledger.models.stamping import STAMPED
from freshledger.web.context import hash_secret

Connection = asyncpg.Connection


@dataclass(frozen=True)
class Ledger:
    """The ids of what was made."""

    id: int
    user: int
    wallet: int
    transactions: list[int]
    labels: list[int]
    contacts: list[int]


FILL = """
WITH wallet AS (INSERT INTO wallets (ledger_id, name) VALUES ($1, 'Main') RETURNING id),
     address AS (INSERT INTO wallet_addresses (ledger_id, wallet_id, chain, address)
                 SELECT $1, id, 'bitcoin', 'bc1qmine' FROM wallet),
     label AS (INSERT INTO labels (ledger_id, name)
               SELECT $1, 'label ' || n FROM generate_series(1, $3::int) n RETURNING id),
     contact AS (INSERT INTO contacts (ledger_id, name)
                 SELECT $1, 'contact ' || n FROM generate_series(1, $4::int) n RETURNING id),
     numbered AS (SELECT id, row_number() OVER () n FROM contact),
     theirs AS (INSERT INTO contact_addresses (ledger_id, contact_id, network, address)
                SELECT $1, id, 'bitcoin', 'bc1q' || n || 'x' || k
                FROM numbered, generate_series(1, 5) k),
     movement AS (
       INSERT INTO transactions (ledger_id, wallet_id, group_key, identity, occurred_at, type,
                                 asset, amount, counterparty)
       SELECT $1, id, 'g' || n, 'i' || n, timestamptz '2026-01-01' + n * interval '1 min',
              'receive', 'BTC', n / 8.0, 'bc1q' || (n % 5 + 1) || 'x1'
       FROM wallet, generate_series(1, $2::int) n RETURNING id)
SELECT (SELECT id FROM wallet) AS wallet,
       (SELECT array_agg(id ORDER BY id) FROM movement) AS transactions,
       (SELECT array_agg(id ORDER BY id) FROM label) AS labels,
       (SELECT array_agg(id ORDER BY id) FROM contact) AS contacts
"""


async def make_ledger(
    connection: Connection, *, rows: int = 20, labels: int = 5, contacts: int = 5
) -> Ledger:
    """Make a ledger, in two versions: the ledger itself, and all its rows."""
    ledger = await connection.fetchval("INSERT INTO ledgers (name) VALUES ('Books') RETURNING id")
    user = await connection.fetchval(
        "INSERT INTO users (email, name) VALUES (gen_random_uuid() || '@example.org', 'Ann')"
        " RETURNING id"
    )
    async with connection.transaction():
        await connection.execute("INSERT INTO members VALUES ($1, $2, 'owner')", ledger, user)
        made = await connection.fetchrow(FILL, ledger, rows, labels, contacts)
    return Ledger(ledger, user, **dict(made))


async def let_in(connection: Connection, ledger: Ledger, *, scope: str) -> tuple[dict, dict]:
    """Sign the owner in; return the headers of their browser, and of a program with a token."""
    secrets = uuid4().hex, f"fl_{ledger.id}_{uuid4().hex}"
    session, token = (hash_secret(secret) for secret in secrets)
    await connection.execute(
        "INSERT INTO sessions (user_id, token_hash, expires_at)"
        " VALUES ($1, $2, now() + interval '1 day')",
        ledger.user,
        session,
    )
    await connection.execute(
        "INSERT INTO tokens (ledger_id, user_id, scope, token_hash) VALUES ($1, $2, $3, $4)",
        ledger.id,
        ledger.user,
        scope,
        token,
    )
    return {"cookie": f"freshledger={secrets[0]}"}, {"authorization": f"Bearer {secrets[1]}"}


async def link(connection: Connection, ledger: Ledger) -> None:
    """Give all transactions the first label."""
    await connection.execute(
        "INSERT INTO transaction_labels (ledger_id, transaction_id, label_id, occurred_at)"
        " SELECT ledger_id, id, $2, occurred_at FROM transactions WHERE ledger_id = $1",
        ledger.id,
        ledger.labels[0],
    )


async def version_of(connection: Connection, ledger: int) -> int | None:
    return await connection.fetchval("SELECT version FROM heads WHERE ledger_id = $1", ledger)


async def changes_of(connection: Connection, ledger: int, since: int) -> list[asyncpg.Record]:
    """The changes of all versions after `since`, in their order."""
    return await connection.fetch(
        "SELECT r.version, c.* FROM changes c JOIN revisions r USING (ledger_id, tx)"
        " WHERE ledger_id = $1 AND version > $2 ORDER BY version, part",
        ledger,
        since,
    )


async def made(connection: Connection, ledger: int, since: int) -> list[tuple[str, str, int]]:
    """What was done since: (table, operation, rows)."""
    rows = await changes_of(connection, ledger, since)
    return [(row["table_name"], row["operation"], row["count"]) for row in rows]


HASH = "hashtextextended({}::text || ':' || {}::text || ':' || e.key || ':' || e.value::text, 0)"
IDS = {
    "members": "user_id",
    "tombstones": "wallet_id",
    "transaction_labels": "transaction_id",
    "ledgers": "id",
}
ROWS = " UNION ALL ".join(
    f"SELECT '{table}' AS name, {IDS.get(table, 'id')} AS id, to_jsonb(t) AS row FROM {table} t"
    f" WHERE {'id' if table == 'ledgers' else 'ledger_id'} = $1"
    for table in (*sorted(STAMPED), "ledgers")
)
CONTENT = f"""
SELECT coalesce(sum({HASH.format("name", "id")}::numeric), 0)
FROM ({ROWS}) r CROSS JOIN LATERAL jsonb_each(r.row) e
"""
"""A number that stands for everything in the ledger's tables: a sum over all values."""

RECORDED = f"""
SELECT coalesce(sum(sign * {HASH.format("table_name", "i.id")}::numeric), 0)
FROM changes c JOIN revisions r USING (ledger_id, tx)
CROSS JOIN LATERAL unnest(c.ids) WITH ORDINALITY i (id, place)
CROSS JOIN LATERAL (
  SELECT -1 AS sign, b.* FROM jsonb_each(c.before -> (i.place - 1)::int) b
  UNION ALL SELECT 1, a.* FROM jsonb_each(c.after -> (i.place - 1)::int) a) e
WHERE c.ledger_id = $1 AND r.version <= $2 AND c.table_name <> 'users'
"""
"""The same number, from what the changes of the versions 1..$2 say."""


@dataclass(frozen=True)
class Shown:
    """What one snapshot shows of a ledger."""

    version: int
    revisions: int
    first: int
    last: int
    orphans: int
    content: int
    recorded: int

    @property
    def faults(self) -> set[str]:
        """Why this snapshot is not exactly the changes 1..version."""
        found = set()
        if (self.revisions, self.first, self.last) != (self.version, 1, self.version):
            found.add("gap")
        if self.orphans:
            found.add("orphan")
        if self.content != self.recorded:
            found.add("content")
        return found


STATE = """
SELECT h.version, r.*,
       (SELECT count(*) FROM changes c WHERE c.ledger_id = $1 AND NOT EXISTS (
          SELECT FROM revisions v WHERE v.ledger_id = c.ledger_id AND v.tx = c.tx)) AS orphans
FROM heads h, (SELECT count(*) AS revisions, min(version) AS first, max(version) AS last
               FROM revisions WHERE ledger_id = $1) r
WHERE h.ledger_id = $1
"""


async def look(connection: Connection, ledger: int) -> Shown:
    """Look at everything, in several statements of one snapshot."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        state: dict[str, Any] = dict(await connection.fetchrow(STATE, ledger))
        content = await connection.fetchval(CONTENT, ledger)
        recorded = await connection.fetchval(RECORDED, ledger, state["version"])
        again = dict(await connection.fetchrow(STATE, ledger))
    assert again == state
    return Shown(**state, content=content, recorded=recorded)


async def current_tx(connection: Connection) -> UUID | None:
    """The uuid of the running transaction, None before its first change."""
    text = await connection.fetchval("SELECT left(current_setting('freshledger.tx', true), 32)")
    return UUID(text) if text else None
