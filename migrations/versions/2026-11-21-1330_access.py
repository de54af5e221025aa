"""Who may see what, changed by anybody, is told at once: NOTIFY `access` with the user's id.

A ledger's members and tokens count for its version already. This is for what stands beside the
ledgers: people and their sessions, whose open pages must end or change; '0' for invitations,
which are nobody's yet.
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

WHOSE = {"users": "id", "sessions": "user_id", "invitations": "0"}


def run(statements: str) -> None:
    """asyncpg prepares what has parameters, and a script has none: send it as one."""
    op.get_bind().exec_driver_sql("DO $do$ BEGIN EXECUTE $sql$" + statements + "$sql$; END $do$")


def tell_function(table: str, whose: str) -> str:
    return f"""
CREATE FUNCTION tell_{table}() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF TG_OP <> 'DELETE' THEN
    PERFORM pg_notify('access', whose::text) FROM (SELECT DISTINCT {whose} AS whose FROM new_rows) r;
  ELSE
    PERFORM pg_notify('access', whose::text) FROM (SELECT DISTINCT {whose} AS whose FROM old_rows) r;
  END IF;
  RETURN NULL;
END $$;
"""


def upgrade() -> None:
    for table, whose in WHOSE.items():
        run(tell_function(table, whose))
        for event, rows in (
            ("insert", "NEW TABLE AS new_rows"),
            ("update", "NEW TABLE AS new_rows"),
            ("delete", "OLD TABLE AS old_rows"),
        ):
            run(
                f"CREATE TRIGGER tell_{event} AFTER {event.upper()} ON {table} REFERENCING {rows}"
                f" FOR EACH STATEMENT EXECUTE FUNCTION tell_{table}();"
                f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER tell_{event};"
            )


def downgrade() -> None:
    for table in WHOSE:
        run(f"DROP FUNCTION tell_{table}() CASCADE")
