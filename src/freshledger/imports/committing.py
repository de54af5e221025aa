"""Writes a staged import into the ledger; all of it in the caller's one transaction.

It never locks the ledger: others go on working while a million rows arrive. Only imports into
the same wallet wait for each other, so that both add exactly what is new. What other people
may be waiting for (labels, changed rows) is touched last.
"""

from dataclasses import asdict, dataclass

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger.imports.preview import CHANGED, COMPARED, REFERENCED
from freshledger.labels.repository import ensure_labels
from freshledger.named import MAX_NAME
from freshledger.text import clean_text

CHUNK = 20_000
"""Rows of one statement; between two the import can be seen to progress, and cancelled."""


@dataclass(frozen=True, slots=True)
class Key:
    """An import within its ledger."""

    ledger_id: int
    import_id: int


async def lock_wallets(session: AsyncSession, key: Key) -> None:
    """Let imports into the same wallets wait for each other, in the order of their ids."""
    await session.execute(_LOCK, asdict(key))


async def list_chunks(session: AsyncSession, key: Key) -> list[tuple[int, int, int]]:
    """Return the staged rows in parts: file, first row, number of movements."""
    found = await session.execute(_CHUNKS, {**asdict(key), "chunk": CHUNK})
    return [(row.file_id, row.part * CHUNK, row.movements) for row in found]


async def insert_chunk(session: AsyncSession, key: Key, *, file_id: int, first: int) -> int:
    """Insert a part's new movements; what is there, or was deleted, is passed over."""
    values = {**asdict(key), "file_id": file_id, "first": first, "last": first + CHUNK - 1}
    return await _count(session, _INSERT, values)


async def update_changed(session: AsyncSession, key: Key) -> int:
    """Bring rows whose status or amount changed up to date; hand-edited columns stay."""
    return await _count(session, _UPDATE, asdict(key))


async def note_there(session: AsyncSession, key: Key) -> int:
    """Write down which transactions the files contained that were there before."""
    return await _count(session, _THERE, asdict(key))


async def insert_references(session: AsyncSession, key: Key) -> int:
    """Keep the lines of BIP-329; returns how many are new."""
    await session.execute(_REFERENCE_UPDATE, asdict(key))
    new = await _count(session, _REFERENCES, asdict(key))
    await session.execute(_REFERENCES_THERE, asdict(key))
    return new


async def insert_contacts(session: AsyncSession, key: Key) -> None:
    """Set the contacts that the file names, where they do not follow from an address."""
    if await _count(session, _CONTACTS, asdict(key)):
        await session.execute(_SET_CONTACTS, asdict(key))


async def insert_labels(session: AsyncSession, key: Key) -> None:
    """Label what is new, as the files say and as kept lines of BIP-329 say."""
    given = await session.scalars(_GIVEN, asdict(key))
    names = {label: clean_text(label, limit=MAX_NAME) for label in given}
    names = {label: name for label, name in names.items() if name}
    if not names:
        return
    ids = await ensure_labels(session, ledger_id=key.ledger_id, names=set(names.values()))
    ties = {"given": list(names), "ids": [ids[name] for name in names.values()]}
    await session.execute(_LINKS, asdict(key) | ties)


async def insert_own_address(session: AsyncSession, key: Key, *, address: str) -> None:
    """Note the address whose export this is as the wallet's own, unless it is another's."""
    await session.execute(_OWN_ADDRESS, {**asdict(key), "address": address})


async def delete_staged(session: AsyncSession, key: Key) -> None:
    """Drop the staged rows."""
    await session.execute(_DROP, asdict(key))


async def _count(session: AsyncSession, statement: TextClause, values: dict[str, int]) -> int:
    return int((await session.execute(statement, values)).scalar_one())


_STAGED = "s.ledger_id = :ledger_id AND s.import_id = :import_id"

_SAME = """t.ledger_id = s.ledger_id AND t.wallet_id = s.wallet_id AND t.identity = s.identity
       AND t.occurrence = s.occurrence"""

_NEW = """EXISTS (SELECT FROM import_rows i WHERE i.ledger_id = t.ledger_id
       AND i.import_id = :import_id AND i.transaction_id = t.id AND i.outcome = 'new')"""

_LOCK = text(f"""
SELECT pg_advisory_xact_lock(hashtextextended('import into ' || ledger_id || '/' || wallet_id, 0))
FROM (SELECT DISTINCT s.ledger_id, s.wallet_id FROM staged_rows s WHERE {_STAGED} ORDER BY 2) w
""")  # noqa: S608 - constants

_CHUNKS = text(f"""
SELECT s.file_id, s.n / :chunk AS part, count(*) AS movements FROM staged_rows s
WHERE {_STAGED} AND s.kind = 'movement' GROUP BY 1, 2 ORDER BY 1, 2
""")  # noqa: S608 - constants

_COLUMNS = """wallet_id, own_address, chain, txid, group_key, identity, occurrence, occurred_at,
  type, status, asset, contract, amount, counterparty, fiat_value, fiat_currency, note"""

_INSERT = text(f"""
WITH added AS (
  INSERT INTO transactions (ledger_id, {_COLUMNS})
  SELECT ledger_id, {_COLUMNS} FROM staged_rows s
  WHERE {_STAGED} AND s.file_id = :file_id AND s.n BETWEEN :first AND :last AND s.kind = 'movement'
    AND NOT EXISTS (SELECT FROM tombstones t WHERE {_SAME})
  ORDER BY s.n
  ON CONFLICT (ledger_id, wallet_id, identity, occurrence) DO NOTHING
  RETURNING id
), noted AS (
  INSERT INTO import_rows (ledger_id, import_id, transaction_id, outcome)
  SELECT :ledger_id, :import_id, id, 'new' FROM added RETURNING 1
)
SELECT count(*) FROM noted
""")  # noqa: S608 - constants

_KEPT = ("occurred_at", "type", "counterparty", "own_address", "fiat_value", "fiat_currency")
_SETS = ", ".join(
    f"{name} = CASE WHEN '{name}' = ANY(t.hand_edited) THEN t.{name} ELSE c.{name} END"
    for name in _KEPT
)

_UPDATE = text(f"""
WITH c AS (
  SELECT t.id, next.status, next_amount.amount,
         {", ".join(f"s.{name}" for name in _KEPT)} {COMPARED} AND t.id IS NOT NULL AND {CHANGED}
), updated AS (
  UPDATE transactions t SET status = c.status, amount = c.amount, {_SETS}
  FROM c WHERE t.ledger_id = :ledger_id AND t.id = c.id RETURNING t.id
), noted AS (
  INSERT INTO import_rows (ledger_id, import_id, transaction_id, outcome)
  SELECT :ledger_id, :import_id, id, 'updated' FROM updated RETURNING 1
)
SELECT count(*) FROM noted
""")  # noqa: S608 - constants

_THERE = text(f"""
WITH noted AS (
  INSERT INTO import_rows (ledger_id, import_id, transaction_id, outcome)
  SELECT :ledger_id, :import_id, t.id, 'there' FROM staged_rows s JOIN transactions t ON {_SAME}
  WHERE {_STAGED} AND s.kind = 'movement'
  ON CONFLICT DO NOTHING RETURNING 1
)
SELECT count(*) FROM noted
""")  # noqa: S608 - constants

_REFERENCE_UPDATE = text(f"""
WITH c AS (
  SELECT DISTINCT ON (r.id) r.id, (s.detail ->> 'spendable')::boolean AS spendable,
         coalesce(s.detail -> 'extra', '{{}}') AS extra
  {REFERENCED} AND r.id IS NOT NULL ORDER BY r.id, s.n DESC
)
UPDATE reference_labels r SET spendable = coalesce(c.spendable, r.spendable), extra = r.extra || c.extra
FROM c WHERE r.ledger_id = :ledger_id AND r.id = c.id
  AND (coalesce(c.spendable, r.spendable), r.extra || c.extra)
      IS DISTINCT FROM (r.spendable, r.extra)
""")  # noqa: S608 - constants

_REFERENCES = text(f"""
WITH added AS (
  INSERT INTO reference_labels (ledger_id, type, ref, label, origin, spendable, extra)
  SELECT :ledger_id, s.detail ->> 'type', s.detail ->> 'ref', s.detail ->> 'label',
         s.detail ->> 'origin', (s.detail ->> 'spendable')::boolean,
         coalesce(s.detail -> 'extra', '{{}}')
  FROM staged_rows s WHERE {_STAGED} AND s.kind = 'reference' ORDER BY s.file_id, s.n
  ON CONFLICT DO NOTHING RETURNING id
), noted AS (
  INSERT INTO import_references (ledger_id, import_id, reference_id, outcome)
  SELECT :ledger_id, :import_id, id, 'new' FROM added RETURNING 1
)
SELECT count(*) FROM noted
""")  # noqa: S608 - constants

_REFERENCES_THERE = text(f"""
INSERT INTO import_references (ledger_id, import_id, reference_id, outcome)
SELECT DISTINCT s.ledger_id, s.import_id, r.id, 'there' {REFERENCED} AND r.id IS NOT NULL
ON CONFLICT DO NOTHING
""")

_NAMED = f"""
FROM staged_rows s JOIN transactions t ON {_SAME} AND t.contact_id IS NULL
WHERE {_STAGED} AND s.kind = 'movement' AND s.contact IS NOT NULL AND {_NEW}
  AND NOT EXISTS (SELECT FROM contact_addresses a JOIN contacts c USING (ledger_id)
                  WHERE a.ledger_id = t.ledger_id AND a.address = t.counterparty
                    AND a.network = t.network AND c.id = a.contact_id
                    AND lower(c.name) = lower(s.contact))
"""

# Most files name no contacts: that is asked once, before a transaction is read.
_CONTACTS = text(f"""
WITH named AS (SELECT DISTINCT ON (lower(s.contact)) s.contact AS name {_NAMED}
               AND EXISTS (SELECT FROM staged_rows s WHERE {_STAGED} AND s.contact IS NOT NULL)
               ORDER BY lower(s.contact), s.contact),
     made AS (INSERT INTO contacts (ledger_id, name) SELECT :ledger_id, name FROM named
              ON CONFLICT (ledger_id, lower(name)) DO NOTHING)
SELECT count(*) FROM named
""")  # noqa: S608 - constants

_SET_CONTACTS = text(f"""
UPDATE transactions o SET contact_id = n.contact_id
FROM (SELECT t.id, (SELECT c.id FROM contacts c WHERE c.ledger_id = t.ledger_id
                    AND lower(c.name) = lower(s.contact)) AS contact_id {_NAMED}) n
WHERE o.ledger_id = :ledger_id AND o.id = n.id
""")  # noqa: S608 - constants

# What is new, with the labels that its file gives it.
_OWN = f"""staged_rows s CROSS JOIN LATERAL unnest(s.labels) own (label)
JOIN transactions t ON {_SAME}
WHERE {_STAGED} AND s.kind = 'movement' AND s.labels IS NOT NULL AND {_NEW}"""

# A kept line labels a transaction when the one of them that came last arrives.
_TIED = f"""reference_labels r JOIN transactions t ON t.ledger_id = r.ledger_id AND t.txid = r.ref
WHERE r.ledger_id = :ledger_id AND r.type = 'tx' AND r.label IS NOT NULL
  AND ({_NEW} OR EXISTS (SELECT FROM import_references i WHERE i.ledger_id = r.ledger_id
         AND i.import_id = :import_id AND i.reference_id = r.id AND i.outcome = 'new'))"""

_GIVEN = text(f"SELECT own.label FROM {_OWN} UNION SELECT r.label FROM {_TIED}")  # noqa: S608 - constants

_LINKS = text(f"""
INSERT INTO transaction_labels (ledger_id, transaction_id, label_id, occurred_at)
SELECT t.ledger_id, t.id, l.id, t.occurred_at
FROM (SELECT t.ledger_id, t.id, t.occurred_at, own.label FROM {_OWN}
      UNION ALL SELECT t.ledger_id, t.id, t.occurred_at, r.label FROM {_TIED}) t
JOIN unnest(CAST(:given AS text[]), CAST(:ids AS bigint[])) l (given, id) ON l.given = t.label
ON CONFLICT DO NOTHING
""")  # noqa: S608 - constants

_OWN_ADDRESS = text(f"""
INSERT INTO wallet_addresses (ledger_id, wallet_id, chain, address)
SELECT DISTINCT s.ledger_id, s.wallet_id, s.chain, s.own_address FROM staged_rows s
WHERE {_STAGED} AND s.kind = 'movement' AND s.own_address = :address AND s.chain IS NOT NULL
ON CONFLICT DO NOTHING
""")  # noqa: S608 - constants

_DROP = text(f"DELETE FROM staged_rows s WHERE {_STAGED}")  # noqa: S608 - constants
