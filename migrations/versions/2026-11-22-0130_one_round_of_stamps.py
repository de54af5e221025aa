"""Many ledgers in one transaction are stamped in one round, not in one for each change.

Each change's deferred trigger went through all ledgers of its transaction; now only that of a
change whose ledger has no version of this transaction yet does.
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

DONE = """
  IF EXISTS (SELECT FROM heads WHERE ledger_id = NEW.ledger_id AND tx = NEW.tx) THEN
    RETURN NULL;
  END IF;"""


def run(statements: str) -> None:
    """asyncpg prepares what has parameters, and a script has none: send it as one."""
    op.get_bind().exec_driver_sql("DO $do$ BEGIN EXECUTE $sql$" + statements + "$sql$; END $do$")


def replace_stamp(first: str) -> None:
    """At COMMIT: all ledgers of the transaction at once, in the order of their ids, so that two
    transactions over the same ledgers cannot wait for each other."""
    run(f"""
CREATE OR REPLACE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  setting text := current_setting('freshledger.tx', true);
  ledger bigint;
BEGIN{first}
  IF left(setting, 32) = replace(NEW.tx::text, '-', '') THEN
    FOR ledger IN SELECT id::bigint FROM unnest(string_to_array(substr(setting, 34), ',')) id
                  ORDER BY 1 LOOP
      PERFORM stamp_ledger(ledger, NEW.tx);
    END LOOP;
  END IF;
  PERFORM stamp_ledger(NEW.ledger_id, NEW.tx);
  RETURN NULL;
END $$;
""")


def upgrade() -> None:
    replace_stamp(DONE)


def downgrade() -> None:
    replace_stamp("")
