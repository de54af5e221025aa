"""Which version undid which; history found by person and time; what a deleted import contained.

`import_rows` and `import_references` are not stamped: they are written with the rows of their
import. When an import goes with its wallet, what it contained is kept here beside the version,
in one row per import and outcome, so that undoing the deletion brings it back whole.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

CONTAINED = {"import_rows": "transaction_id", "import_references": "reference_id"}


def run(statements: str) -> None:
    """asyncpg prepares what has parameters, and a script has none: send it as one."""
    op.get_bind().exec_driver_sql("DO $do$ BEGIN EXECUTE $sql$" + statements + "$sql$; END $do$")


def keep_function(table: str, column: str) -> str:
    """A ledger that is being deleted keeps nothing."""
    return f"""
CREATE FUNCTION keep_{table}() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  INSERT INTO dropped_import_rows (ledger_id, tx, table_name, import_id, outcome, ids)
  SELECT ledger_id, touch(ledger_id), '{table}', import_id, outcome,
         array_agg({column} ORDER BY {column})
  FROM old_rows o WHERE (SELECT true FROM ledgers WHERE id = o.ledger_id)
  GROUP BY ledger_id, import_id, outcome
  ON CONFLICT (ledger_id, tx, table_name, import_id, outcome)
  DO UPDATE SET ids = dropped_import_rows.ids || excluded.ids;
  RETURN NULL;
END $$;
"""


def upgrade() -> None:
    op.create_table(
        "undos",
        sa.Column("ledger_id", sa.BigInteger(), nullable=False),
        sa.Column("tx", sa.Uuid(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("left_out", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(
            ["ledger_id"], ["ledgers.id"], name=op.f("fk_undos_ledger_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("ledger_id", "tx", name=op.f("pk_undos")),
    )
    op.create_index(op.f("ix_undos_ledger_id_version"), "undos", ["ledger_id", "version"])
    op.create_table(
        "dropped_import_rows",
        sa.Column("ledger_id", sa.BigInteger(), nullable=False),
        sa.Column("tx", sa.Uuid(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("import_id", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.ForeignKeyConstraint(
            ["ledger_id"],
            ["ledgers.id"],
            name=op.f("fk_dropped_import_rows_ledger_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "ledger_id",
            "tx",
            "table_name",
            "import_id",
            "outcome",
            name=op.f("pk_dropped_import_rows"),
        ),
    )
    op.create_index("ix_revisions_at", "revisions", ["ledger_id", "at", "version"])
    columns = ["ledger_id", "table_name", "actor", "operation", "tx"]
    op.create_index("ix_changes_what", "changes", columns)
    op.create_index(
        "ix_changes_import",
        "changes",
        ["ledger_id", "import_id"],
        postgresql_where=sa.text("import_id IS NOT NULL"),
    )
    for table, column in CONTAINED.items():
        run(keep_function(table, column))
        run(
            f"CREATE TRIGGER keep AFTER DELETE ON {table} REFERENCING OLD TABLE AS old_rows"
            f" FOR EACH STATEMENT EXECUTE FUNCTION keep_{table}();"
            f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER keep;"
        )


def downgrade() -> None:
    for table in CONTAINED:
        run(f"DROP FUNCTION keep_{table}() CASCADE")
    op.drop_index("ix_changes_import", "changes")
    op.drop_index("ix_changes_what", "changes")
    op.drop_index("ix_revisions_at", "revisions")
    op.drop_table("dropped_import_rows")
    op.drop_table("undos")
