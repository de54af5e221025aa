"""The statements that take back what one part of a version's record says, set by set.

Each judges every row of the part first: what stands in its way is its `obstacle`, an array of why,
a table, a row's id, and for links the label's. Rows without one are reversed. The rows that are
there are locked before (`lock`), so that nothing comes between judging and writing.
"""

from collections.abc import Callable
from functools import cache

from sqlalchemy import TextClause, text

from freshledger.models import Base

PARENTS: dict[str, dict[str, str]] = {
    "wallets": {},
    "contacts": {},
    "labels": {},
    "imports": {"wallet_id": "wallets"},
    "import_files": {"import_id": "imports"},
    "transactions": {"wallet_id": "wallets", "contact_id": "contacts"},
    "wallet_addresses": {"wallet_id": "wallets"},
    "contact_addresses": {"contact_id": "contacts"},
    "transaction_labels": {"transaction_id": "transactions", "label_id": "labels"},
    "reference_labels": {},
    "tombstones": {"wallet_id": "wallets"},
}
"""The tables whose changes can be undone, in the order of locking, and what their rows need."""

_NAME = ("name", "lower(o.name) = lower(p.name)")
_SOURCE = "(o.wallet_id, o.identity, o.occurrence) = (p.wallet_id, p.identity, p.occurrence)"
_LINE = "(o.type, o.ref) = (p.type, p.ref) AND (o.label, o.origin) IS NOT DISTINCT FROM (p.label, p.origin)"
TAKEN = {
    "wallets": _NAME,
    "contacts": _NAME,
    "labels": _NAME,
    "wallet_addresses": (
        "address",
        "o.address = p.address AND o.chain IS NOT DISTINCT FROM p.chain",
    ),
    "contact_addresses": ("address", "(o.address, o.network) = (p.address, p.network)"),
    "transactions": ("identity", _SOURCE),
    "reference_labels": ("ref", _LINE),
}
"""What only one row may have: the column that gives it away, and which other row has it too."""

_INSTEAD = {
    ("imports", "status"): "CASE WHEN p.status = 'taking_back' THEN 'done'"
    " WHEN p.status IN ('reading', 'staged', 'committing') THEN 'cancelled' ELSE p.status END",
    ("imports", "user_id"): "(SELECT u.id FROM users u WHERE u.id = p.user_id)",
    ("transactions", "hand_edited"): """CASE
      WHEN NOT r.before ? 'hand_edited' THEN t.hand_edited
      WHEN to_jsonb(t.hand_edited) = r.after -> 'hand_edited' THEN p.hand_edited
      ELSE ARRAY(SELECT e FROM unnest(t.hand_edited) e
                 WHERE NOT r.after -> 'hand_edited' ? e OR r.before -> 'hand_edited' ? e
                 UNION SELECT e FROM jsonb_array_elements_text(r.before -> 'hand_edited') e
                 WHERE NOT r.after -> 'hand_edited' ? e) END""",
}
"""Columns that are not put back as they were: work that nobody does any more is over; columns
that a person corrected since stay theirs."""

_CARRIED = ("occurred_at", "wallet_id", "asset", "type")
"""What a link has of its transaction, as it is now."""

_DIFFERS = "jsonb_populate_record(t, r.after - 'hand_edited') IS DISTINCT FROM t"
_PART = "c.ledger_id = :ledger AND c.tx = :tx AND c.part = :part"


def ancestors(table: str) -> set[str]:
    """Return the tables that a table's rows need, and what these need."""
    found = set(PARENTS[table].values())
    return found.union(*(ancestors(parent) for parent in found))


def _keys(table: str) -> list[str]:
    key = Base.metadata.tables[table].primary_key.columns
    return [column.name for column in key if column.name != "ledger_id"]


def _columns(table: str) -> list[str]:
    """Return all columns but the ledger, the key, the row's version, and what is derived."""
    found = Base.metadata.tables[table].columns
    derived = {*_keys(table), "ledger_id", "version"}
    return [c.name for c in found if c.computed is None and c.name not in derived]


def _same(a: str, b: str, table: str) -> str:
    return " AND ".join(f"{a}.{key} = {b}.{key}" for key in ("ledger_id", *_keys(table)))


def _obstacle(why: str, table: str, row: str) -> str:
    """Write the array that names this row itself as what stands in the way."""
    label = f", {row}.label_id::text" if table == "transaction_labels" else ""
    return f"ARRAY['{why}', '{table}', {row}.{_keys(table)[0]}::text{label}]"


def _orphan(table: str) -> list[str]:
    """Write for each row that `p` needs what stands in the way where it is gone."""
    return [
        f"CASE WHEN p.{column} IS NOT NULL AND NOT EXISTS (SELECT FROM {parent} x"
        f" WHERE x.ledger_id = :ledger AND x.id = p.{column})"
        f" THEN ARRAY['needs', '{parent}', p.{column}::text] END"
        for column, parent in PARENTS[table].items()
    ]


def _taken(table: str, condition: str) -> list[str]:
    if table not in TAKEN:
        return []
    found = f"""(SELECT ARRAY['taken', '{table}', o.id::text] FROM {table} o
      WHERE {condition} AND o.ledger_id = :ledger AND o.id <> p.id AND {TAKEN[table][1]}
      LIMIT 1)"""  # noqa: S608 - our own names
    return [found]


def _used(table: str) -> list[str]:
    """Write for each table whose rows may hang on `t` the row that does."""
    return [
        f"(SELECT {_obstacle('used', child, 'x')} FROM {child} x WHERE x.ledger_id = :ledger AND x.{column} = t.id LIMIT 1)"  # noqa: S608 - our own names
        for child, parents in PARENTS.items()
        for column, parent in parents.items()
        if parent == table
    ]


def _as_left(table: str, differs: str, missing: str) -> str:
    """Write what stands in the way where a row is not as the version left it."""
    gone, changed = _obstacle("gone", table, "r"), _obstacle("changed", table, "r")
    return f"CASE WHEN {missing} IS NULL THEN {gone} WHEN {differs} THEN {changed} END"


def _judged_update(table: str) -> str:
    values = ", ".join(
        f"{_INSTEAD.get((table, column), f'p.{column}')} AS {column}" for column in _columns(table)
    )
    column = TAKEN.get(table, ("", ""))[0]
    obstacles = [
        _as_left(table, _DIFFERS, "t.id"),
        *_orphan(table),
        *_taken(table, f"r.before ? '{column}'"),
    ]
    return f"""
WITH recorded AS MATERIALIZED (
  SELECT CAST(:ledger AS bigint) AS ledger_id, r.id, r.b - 'version' AS before,
         r.a - 'version' AS after
  FROM changes c CROSS JOIN LATERAL ROWS FROM (unnest(c.ids), jsonb_array_elements(c.before),
    jsonb_array_elements(c.after)) r(id, b, a) WHERE {_PART}
), judged AS MATERIALIZED (
  SELECT r.id, {values}, r.before <> '{{}}' AS differs,
         ARRAY(SELECT jsonb_object_keys(r.after - 'hand_edited')) AS fields,
         coalesce({", ".join(obstacles)}) AS obstacle
  FROM recorded r LEFT JOIN {table} t ON {_same("t", "r", table)}
  LEFT JOIN LATERAL jsonb_populate_record(t, r.before) p ON true
)"""  # noqa: S608 - our own names


def _update(table: str) -> str:
    sets = ", ".join(f"{column} = j.{column}" for column in _columns(table))
    return f"""
, done AS (
  UPDATE {table} t SET {sets} FROM judged j
  WHERE t.ledger_id = :ledger AND t.id = j.id AND j.obstacle IS NULL AND j.differs
)
SELECT count(*) FROM judged WHERE obstacle IS NULL"""  # noqa: S608 - our own names


def _judged_insertion(table: str) -> str:
    """Judge rows that were inserted: each must be as it was, and nothing may hang on it."""
    compared = [] if table == "transaction_labels" else _columns(table)
    mine, then = (", ".join(f"{side}.{c}" for c in compared) for side in "tr")
    differs = f"({mine}) IS DISTINCT FROM ({then})" if compared else "false"
    obstacles = [
        _as_left(table, differs, "t.ledger_id"),
        *_used(table),
    ]
    return f"""
WITH recorded AS MATERIALIZED (
  SELECT r.* FROM changes c
  CROSS JOIN LATERAL jsonb_populate_recordset(NULL::{table}, c.after) r WHERE {_PART}
), judged AS MATERIALIZED (
  SELECT {", ".join(f"r.{key}" for key in _keys(table))}, NULL::text[] AS fields,
         coalesce({", ".join(obstacles)}) AS obstacle
  FROM recorded r LEFT JOIN {table} t ON {_same("t", "r", table)}
)"""  # noqa: S608 - our own names


def _delete(table: str) -> str:
    same = " AND ".join(f"t.{key} = j.{key}" for key in _keys(table))
    return f"""
, done AS (
  DELETE FROM {table} t USING judged j
  WHERE t.ledger_id = :ledger AND {same} AND j.obstacle IS NULL RETURNING 1
)
SELECT count(*) FROM done"""  # noqa: S608 - our own names


def _judged_deletion(table: str) -> str:
    """Judge rows that were deleted: their places must be free, and what they need there."""
    other = [] if "id" not in _keys(table) else _taken(table, "true")
    there = (
        f"CASE WHEN EXISTS (SELECT FROM {table} t WHERE {_same('t', 'p', table)})"
        f" THEN {_obstacle('there', table, 'p')} END"
    )
    return f"""
WITH recorded AS MATERIALIZED (
  SELECT r.* FROM changes c
  CROSS JOIN LATERAL jsonb_populate_recordset(NULL::{table}, c.before) r WHERE {_PART}
), judged AS MATERIALIZED (
  SELECT p.*, NULL::text[] AS fields, coalesce({", ".join([there, *_orphan(table), *other])})
    AS obstacle FROM recorded p
)"""  # noqa: S608 - our own names


def _insert(table: str) -> str:
    given = [c.name for c in Base.metadata.tables[table].columns if c.computed is None]
    values = [_INSTEAD.get((table, c), f"p.{c}") if table == "imports" else f"p.{c}" for c in given]
    source = "judged p"
    if table == "transaction_labels":
        values = [f"x.{c}" if c in _CARRIED else f"p.{c}" for c in given]
        source += " JOIN transactions x ON x.ledger_id = p.ledger_id AND x.id = p.transaction_id"
    order = ", ".join(f"p.{key}" for key in _keys(table))
    return f"""
, done AS (
  INSERT INTO {table} ({", ".join(given)}) SELECT {", ".join(values)} FROM {source}
  WHERE p.obstacle IS NULL ORDER BY {order} ON CONFLICT DO NOTHING RETURNING 1
)
SELECT count(*) FROM done"""  # noqa: S608 - our own names


_WAYS: dict[str, tuple[Callable[[str], str], Callable[[str], str]]] = {
    "U": (_judged_update, _update),
    "I": (_judged_insertion, _delete),
    "D": (_judged_deletion, _insert),
}


@cache
def judging(table: str, operation: str) -> TextClause:
    """Return the first rows of a part that cannot be reversed (`obstacle`), and how many."""
    judged = _WAYS[operation][0](table)
    order = ", ".join(_keys(table))
    return text(f"""{judged}
SELECT obstacle, fields, count(*) OVER () AS total FROM judged WHERE obstacle IS NOT NULL
ORDER BY {order} LIMIT :shown""")  # noqa: S608 - our own names


@cache
def reversing(table: str, operation: str) -> TextClause:
    """Reverse what nothing stands in the way of; returns how many rows."""
    judged, write = _WAYS[operation]
    return text(judged(table) + write(table))


@cache
def locking(table: str, operation: str) -> TextClause:
    """Lock the rows that a version inserted or updated, in the order of their keys.

    Nobody can point to a row any more that is to be deleted; one that is put back keeps its key.
    """
    keys = _keys(table)
    mine = ", ".join(f"t.{key}" for key in keys)
    which, source = "unnest(c.ids)", "changes c"
    if operation == "I":
        which = ", ".join(f"r.{key}" for key in keys)
        source += f" CROSS JOIN LATERAL jsonb_populate_recordset(NULL::{table}, c.after) r"
    strength = "FOR NO KEY UPDATE" if operation == "U" else "FOR UPDATE"
    return text(f"""
SELECT count(*) FROM (
  SELECT FROM {table} t WHERE t.ledger_id = :ledger AND ({mine}) IN (
    SELECT {which} FROM {source} WHERE c.ledger_id = :ledger AND c.tx = :tx AND c.table_name = '{table}'
      AND c.operation = '{operation}')
  ORDER BY {mine} {strength}) locked""")  # noqa: S608 - our own names
