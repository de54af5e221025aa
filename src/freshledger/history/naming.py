"""What the rows in the history are called: by their record, by the present, by their deletion."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger.history.repository import RowChange, Version

Row = Mapping[str, Any]
Names = Mapping[tuple[str, int], Row]
"""A row that was spoken of, by its table and id: its columns as far as they are known."""

_POINTS_TO = {
    "label_id": "labels",
    "contact_id": "contacts",
    "wallet_id": "wallets",
    "transaction_id": "transactions",
    "import_id": "imports",
    "user_id": "users",
}
_ITSELF = {"labels", "contacts", "wallets", "transactions", "imports"}
"""Tables whose rows are spoken of by their id."""


async def find_names(
    session: AsyncSession,
    *,
    ledger_id: int,
    rows: Iterable[RowChange],
    imports: Iterable[int] = (),
) -> Names:
    """Return what is known of every row that these changes are of, or point to."""
    wanted, names = _wanted(rows), dict[tuple[str, int], Row]()
    wanted["imports"] |= set(imports)
    found = await session.execute(
        _PRESENT, {"ledger": ledger_id} | {table: sorted(wanted[table]) for table in _TABLES}
    )
    for row in found:
        names[row.kind, row.id] = row.columns
    await _find_gone(session, ledger_id, wanted, names)
    return names


def in_version(version: Version) -> list[RowChange]:
    """Return the first rows of all that a version did."""
    return [row for group in version.groups for row in group.rows]


def as_recorded(names: Names, rows: Iterable[RowChange]) -> Names:
    """Return the names with what rows that came or went with these changes were called then."""
    then = dict(names)
    for row in rows:
        whole = row.after if row.operation == "I" else row.before
        if row.table in _ITSELF and row.operation != "U" and whole is not None:
            then[row.table, row.id] = {**names.get((row.table, row.id), {}), **whole}
    return then


def _wanted(rows: Iterable[RowChange]) -> defaultdict[str, set[int]]:
    """Return the ids of the rows that changes are of, or point to."""
    wanted: defaultdict[str, set[int]] = defaultdict(set)
    for row in rows:
        if row.table in _ITSELF:
            wanted[row.table].add(row.id)
        for columns in (row.before or {}, row.after or {}):
            for column in _POINTS_TO.keys() & columns.keys():
                if columns[column] is not None:
                    wanted[_POINTS_TO[column]].add(columns[column])
    return wanted


_TABLES = ("labels", "contacts", "wallets", "transactions", "imports", "users")

# Amounts stay numbers of JSON: they are read exactly.
_PRESENT = text("""
SELECT 'labels' AS kind, id, jsonb_build_object('name', name, 'color', color, 'there', true) AS columns
FROM labels WHERE ledger_id = :ledger AND id = ANY(CAST(:labels AS bigint[]))
UNION ALL
SELECT 'contacts', id, jsonb_build_object('name', name, 'there', true)
FROM contacts WHERE ledger_id = :ledger AND id = ANY(CAST(:contacts AS bigint[]))
UNION ALL
SELECT 'wallets', id, jsonb_build_object('name', name, 'there', true)
FROM wallets WHERE ledger_id = :ledger AND id = ANY(CAST(:wallets AS bigint[]))
UNION ALL
SELECT 'transactions', id, jsonb_build_object('type', type, 'amount', amount, 'asset', asset,
  'contract', contract, 'occurred_at', occurred_at, 'there', true)
FROM transactions WHERE ledger_id = :ledger AND id = ANY(CAST(:transactions AS bigint[]))
UNION ALL
SELECT 'imports', i.id, jsonb_build_object('name', (
  SELECT string_agg(f.name, ', ' ORDER BY f.id) FROM import_files f
  WHERE f.ledger_id = i.ledger_id AND f.import_id = i.id), 'status', status, 'there', true)
FROM imports i WHERE i.ledger_id = :ledger AND i.id = ANY(CAST(:imports AS bigint[]))
UNION ALL
SELECT 'users', u.id, jsonb_build_object('name', coalesce(nullif(u.name, ''), u.email))
FROM users u WHERE u.id = ANY(CAST(:users AS bigint[]))
""")


async def _find_gone(
    session: AsyncSession,
    ledger_id: int,
    wanted: Mapping[str, set[int]],
    names: dict[tuple[str, int], Row],
) -> None:
    """Add what the record of their deletion says of rows that are there no more."""
    gone = [
        (table, row_id)
        for table in _ITSELF
        for row_id in sorted(wanted.get(table, ()))
        if (table, row_id) not in names
    ]
    if not gone:
        return
    values = {
        "ledger": ledger_id,
        "tables": [table for table, _ in gone],
        "ids": [row_id for _, row_id in gone],
    }
    for row in await session.execute(_GONE, values):
        names[row.kind, row.id] = row.columns


_GONE = text("""
SELECT w.kind, w.id, c.columns
FROM unnest(CAST(:tables AS text[]), CAST(:ids AS bigint[])) w(kind, id)
CROSS JOIN LATERAL (
  SELECT before -> (array_position(ids, w.id) - 1) AS columns FROM changes
  WHERE ledger_id = :ledger AND table_name = w.kind AND operation = 'D' AND ids @> ARRAY[w.id]
  ORDER BY tx DESC LIMIT 1) c
""")
