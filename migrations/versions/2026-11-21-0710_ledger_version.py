"""The ledger version: every transaction that changes a ledger adds one to it as it commits.

Statement triggers only write down in `changes` what was done; they lock nothing. At COMMIT the
deferred trigger `stamp` takes the ledger's one row in `heads`, gives the next version, and
notifies. So versions are gapless and in commit order, and the lock lasts for the commit alone.
The functions run as their owner: whoever may change a ledger's rows needs no right to the
version's tables. All triggers are ALWAYS: they fire under session_replication_role = replica.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

KEYS = {
    "members": ("user_id",),
    "tokens": ("id",),
    "saved_filters": ("id",),
    "wallets": ("id",),
    "wallet_addresses": ("id",),
    "contacts": ("id",),
    "contact_addresses": ("id",),
    "labels": ("id",),
    "transactions": ("id",),
    "transaction_labels": ("transaction_id", "label_id"),
    "reference_labels": ("id",),
    "tombstones": ("wallet_id", "identity", "occurrence"),
    "imports": ("id",),
    "import_files": ("id",),
}
"""The stamped tables with a ledger_id, and the rest of their keys; `ids` keeps the first."""

VERSIONED_ROWS = ("wallets", "contacts", "labels", "transactions")

SECURED = "SECURITY DEFINER SET search_path = public, pg_temp"

FUNCTIONS = f"""
-- One uuid per transaction, which survives dump and restore (an xid does not), kept in a local
-- setting as 'uuid/ledgers'. Its first half is the transaction's own xid: whatever somebody SETs
-- can never be the uuid of another transaction, which would hide changes behind its version.
-- The ledgers touched so far stand behind it, so that stamp() can take them in order.
CREATE FUNCTION touch(ledger bigint) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
  setting text := current_setting('freshledger.tx', true);
  xid text := lpad(to_hex(pg_current_xact_id()::text::bigint), 16, '0');
BEGIN
  IF setting IS NULL OR left(setting, 33) !~ ('^' || xid || '[0-9a-f]{{16}}/') THEN
    setting := xid || right(replace(gen_random_uuid()::text, '-', ''), 16) || '/' || ledger;
    PERFORM set_config('freshledger.tx', setting, true);
  ELSIF NOT ledger::text = ANY (string_to_array(substr(setting, 34), ',')) THEN
    setting := setting || ',' || ledger;
    PERFORM set_config('freshledger.tx', setting, true);
  END IF;
  RETURN left(setting, 32)::uuid;
END $$;

CREATE FUNCTION actor() RETURNS text LANGUAGE sql STABLE AS $$
  SELECT coalesce(nullif(current_setting('freshledger.actor', true), ''), session_user) $$;

-- The import whose batch is the record of what this transaction inserts, if it is one.
CREATE FUNCTION batch() RETURNS bigint LANGUAGE sql STABLE AS $$
  SELECT nullif(current_setting('freshledger.import', true), '')::bigint $$;

-- Whether a statement over `rows` rows is written down without its rows.
CREATE FUNCTION is_bulk(rows bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT batch() IS NOT NULL
    OR (rows > 10000 AND nullif(current_setting('freshledger.actor', true), '') IS NULL) $$;

-- The members of `a` that `b` has not, or has otherwise.
CREATE FUNCTION differing(a jsonb, b jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT coalesce(jsonb_object_agg(key, value), '{{}}') FROM jsonb_each(a)
  WHERE value IS DISTINCT FROM b -> key $$;

CREATE FUNCTION stamp_ledger(ledger bigint, transaction uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE given bigint;
BEGIN
  UPDATE heads SET version = version + 1, tx = transaction
  WHERE ledger_id = ledger AND tx IS DISTINCT FROM transaction
    AND EXISTS (SELECT FROM changes c WHERE c.ledger_id = ledger AND c.tx = transaction)
  RETURNING version INTO given;
  IF given IS NOT NULL THEN
    INSERT INTO revisions (ledger_id, version, tx) VALUES (ledger, given, transaction);
    PERFORM pg_notify('ledger', ledger || ':' || given);
  END IF;
END $$;

-- At COMMIT: all ledgers of the transaction at once, in the order of their ids, so that two
-- transactions over the same ledgers cannot wait for each other.
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql {SECURED} AS $$
DECLARE
  setting text := current_setting('freshledger.tx', true);
  ledger bigint;
BEGIN
  IF left(setting, 32) = replace(NEW.tx::text, '-', '') THEN
    FOR ledger IN SELECT id::bigint FROM unnest(string_to_array(substr(setting, 34), ',')) id
                  ORDER BY 1 LOOP
      PERFORM stamp_ledger(ledger, NEW.tx);
    END LOOP;
  END IF;
  PERFORM stamp_ledger(NEW.ledger_id, NEW.tx);
  RETURN NULL;
END $$;

CREATE FUNCTION make_head() RETURNS trigger LANGUAGE plpgsql {SECURED} AS $$
BEGIN
  INSERT INTO heads (ledger_id) VALUES (NEW.id);
  INSERT INTO changes (ledger_id, tx, actor, table_name, operation, count, ids, after)
  VALUES (NEW.id, touch(NEW.id), actor(), 'ledgers', 'I', 1, ARRAY[NEW.id],
          jsonb_build_array(to_jsonb(NEW)));
  RETURN NULL;
END $$;

CREATE FUNCTION note_ledger() RETURNS trigger LANGUAGE plpgsql {SECURED} AS $$
BEGIN
  INSERT INTO changes (ledger_id, tx, actor, table_name, operation, count, ids, before, after)
  VALUES (NEW.id, touch(NEW.id), actor(), 'ledgers', 'U', 1, ARRAY[NEW.id],
          jsonb_build_array(differing(to_jsonb(OLD), to_jsonb(NEW))),
          jsonb_build_array(differing(to_jsonb(NEW), to_jsonb(OLD))));
  RETURN NULL;
END $$;

-- A person's name stands on the pages of all their ledgers.
CREATE FUNCTION note_user() RETURNS trigger LANGUAGE plpgsql {SECURED} AS $$
BEGIN
  INSERT INTO changes (ledger_id, tx, actor, table_name, operation, count, ids, before, after)
  SELECT m.ledger_id, touch(m.ledger_id), actor(), 'users', 'U', 1, ARRAY[NEW.id],
         jsonb_build_array(jsonb_build_object('name', OLD.name, 'email', OLD.email)),
         jsonb_build_array(jsonb_build_object('name', NEW.name, 'email', NEW.email))
  FROM members m WHERE m.user_id = NEW.id ORDER BY m.ledger_id;
  RETURN NULL;
END $$;

CREATE FUNCTION bump() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.version := OLD.version + 1;
  RETURN NEW;
END $$;

CREATE FUNCTION refuse_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'TRUNCATE % is refused: it would empty the table for open snapshots too',
    TG_TABLE_NAME USING HINT = 'Use DELETE.', ERRCODE = 'feature_not_supported';
END $$;
"""

NAMES = (
    "note_user()", "note_ledger()", "make_head()", "stamp()", "stamp_ledger(bigint, uuid)",
    "differing(jsonb, jsonb)", "is_bulk(bigint)", "batch()", "actor()", "touch(bigint)", "bump()",
    "refuse_truncate()",
)  # fmt: skip

CHUNK = 5000
"""Rows in one record: an array of JSON has an upper size, a bulk edit has none."""


def _insert(table: str, operation: str, rows: str, before: str, after: str) -> str:
    """Write down `rows` (ledger_id, id, o, n as jsonb), bulk ones as their number alone."""
    return f"""
    IF is_bulk(counted) THEN
      INSERT INTO changes (ledger_id, tx, actor, table_name, operation, count, import_id)
      SELECT g.ledger_id, touch(g.ledger_id), actor(), '{table}', '{operation}', g.rows, batch()
      FROM (SELECT ledger_id, count(*) AS rows FROM ({rows}) r GROUP BY 1 ORDER BY 1) g
      WHERE (SELECT true FROM ledgers WHERE id = g.ledger_id);
    ELSE
      INSERT INTO changes (ledger_id, tx, actor, table_name, operation, count, ids, before, after)
      SELECT g.ledger_id, touch(g.ledger_id), actor(), '{table}', '{operation}', g.rows, g.ids,
             g.before, g.after
      FROM (SELECT ledger_id, chunk, count(*) AS rows, array_agg(id ORDER BY place) AS ids,
                   {before} AS before, {after} AS after
            FROM (SELECT *, row_number() OVER (PARTITION BY ledger_id) AS place,
                         (row_number() OVER (PARTITION BY ledger_id) - 1) / {CHUNK} AS chunk
                  FROM ({rows}) s) r
            GROUP BY ledger_id, chunk ORDER BY ledger_id, chunk) g
      WHERE (SELECT true FROM ledgers WHERE id = g.ledger_id);
    END IF;"""


def _whole(alias: str) -> str:
    return f"jsonb_agg({alias} ORDER BY place)"


def _differing(alias: str, other: str) -> str:
    return f"jsonb_agg(differing({alias}, {other}) ORDER BY place)"


def note_function(table: str, keys: tuple[str, ...]) -> str:
    """One function per table, so that PostgreSQL keeps the plans of its statements.

    A kept plan made for one row must also serve a million: no nested loops over the
    transition tables, and the ledger is looked up by a scalar subquery, which is none.

    A row whose key changed (it moved to another ledger) is a deletion there and an insertion
    here; all others are updates with the columns that differ.
    """
    identifier = keys[0]
    same = " AND ".join(f"o.{key} = n.{key}" for key in ("ledger_id", *keys))
    new = f"SELECT n.ledger_id, n.{identifier} AS id, to_jsonb(n) AS n FROM new_rows n"
    old = f"SELECT o.ledger_id, o.{identifier} AS id, to_jsonb(o) AS o FROM old_rows o"
    came = f"{new} WHERE NOT EXISTS (SELECT FROM old_rows o WHERE {same})"
    gone = f"{old} WHERE NOT EXISTS (SELECT FROM new_rows n WHERE {same})"
    both = (
        f"SELECT n.ledger_id, n.{identifier} AS id, to_jsonb(o) AS o, to_jsonb(n) AS n"
        f" FROM new_rows n JOIN old_rows o ON {same}"
    )
    inserted = _insert(table, "I", new, "NULL::jsonb", _whole("n"))
    deleted = _insert(table, "D", old, _whole("o"), "NULL::jsonb")
    updated = _insert(table, "U", both, _differing("o", "n"), _differing("n", "o"))
    moved_out = _insert(table, "D", gone, _whole("o"), "NULL::jsonb")
    moved_in = _insert(table, "I", came, "NULL::jsonb", _whole("n"))
    return f"""
CREATE FUNCTION note_{table}() RETURNS trigger LANGUAGE plpgsql {SECURED}
SET enable_nestloop = off AS $$
DECLARE counted bigint;
BEGIN
  IF TG_OP = 'INSERT' THEN
    SELECT count(*) INTO counted FROM new_rows;
    IF counted = 0 THEN RETURN NULL; END IF;
    {inserted}
  ELSIF TG_OP = 'DELETE' THEN
    SELECT count(*) INTO counted FROM old_rows;
    IF counted = 0 THEN RETURN NULL; END IF;
    {deleted}
  ELSE
    SELECT count(*) INTO counted FROM new_rows;
    IF counted = 0 THEN RETURN NULL; END IF;
    {updated}
    IF EXISTS (SELECT FROM old_rows o WHERE NOT EXISTS (SELECT FROM new_rows n WHERE {same})) THEN
      {moved_out}
      {moved_in}
    END IF;
  END IF;
  RETURN NULL;
END $$;
"""


def trigger(name: str, table: str, clause: str, function: str) -> str:
    """Make a trigger that fires whatever session_replication_role says."""
    kind = "CONSTRAINT TRIGGER" if "DEFERRABLE" in clause else "TRIGGER"
    return (
        f"CREATE {kind} {name} {clause.format(table=table)} EXECUTE FUNCTION {function}();"
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name};"
    )


def table_triggers(table: str) -> str:
    new, old = "NEW TABLE AS new_rows", "OLD TABLE AS old_rows"
    events = {"insert": new, "update": f"{old} {new}", "delete": old}
    return "".join(
        trigger(
            f"note_{event}",
            table,
            f"AFTER {event.upper()} ON {{table}} REFERENCING {rows} FOR EACH STATEMENT",
            f"note_{table}",
        )
        for event, rows in events.items()
    )


def run(statements: str) -> None:
    """asyncpg prepares what has parameters, and a script has none: send it as one."""
    op.get_bind().exec_driver_sql("DO $do$ BEGIN EXECUTE $sql$" + statements + "$sql$; END $do$")


def upgrade() -> None:
    run(FUNCTIONS)
    run(trigger("stamp", "changes", "AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED"
                " FOR EACH ROW", "stamp"))  # fmt: skip
    run(trigger("make_head", "ledgers", "AFTER INSERT ON {table} FOR EACH ROW", "make_head"))
    run(trigger("note_update", "ledgers", "AFTER UPDATE ON {table} FOR EACH ROW", "note_ledger"))
    run(trigger("note_update", "users", "AFTER UPDATE ON {table} FOR EACH ROW WHEN"
                " ((OLD.name, OLD.email) IS DISTINCT FROM (NEW.name, NEW.email))", "note_user"))  # fmt: skip
    for table, keys in KEYS.items():
        run(note_function(table, keys))
        run(table_triggers(table))
    for table in VERSIONED_ROWS:
        run(trigger("bump", table, "BEFORE UPDATE ON {table} FOR EACH ROW", "bump"))
    for table in (*KEYS, "ledgers", "users", "heads", "revisions", "changes"):
        run(trigger("refuse_truncate", table, "BEFORE TRUNCATE ON {table} FOR EACH STATEMENT",
                    "refuse_truncate"))  # fmt: skip


def downgrade() -> None:
    for table in (*KEYS, "ledgers", "users", "heads", "revisions", "changes"):
        run(f"DROP TRIGGER refuse_truncate ON {table}")
    for table in VERSIONED_ROWS:
        run(f"DROP TRIGGER bump ON {table}")
    for table in KEYS:
        run(f"DROP FUNCTION note_{table}() CASCADE")
    for name in NAMES:
        run(f"DROP FUNCTION {name} CASCADE")
