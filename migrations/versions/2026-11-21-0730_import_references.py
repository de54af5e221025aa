"""Imports know their lines of BIP-329; a staged movement knows its wallet."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "import_references",
        sa.Column("ledger_id", sa.BigInteger(), nullable=False),
        sa.Column("import_id", sa.BigInteger(), nullable=False),
        sa.Column("reference_id", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "outcome IN ('new', 'there')", name=op.f("ck_import_references_outcome")
        ),
        sa.ForeignKeyConstraint(
            ["ledger_id", "import_id"],
            ["imports.ledger_id", "imports.id"],
            name=op.f("fk_import_references_ledger_id_import_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["ledger_id"],
            ["ledgers.id"],
            name=op.f("fk_import_references_ledger_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "ledger_id", "import_id", "reference_id", name=op.f("pk_import_references")
        ),
    )
    op.create_index(
        op.f("ix_import_references_ledger_id_reference_id"),
        "import_references",
        ["ledger_id", "reference_id"],
    )
    op.drop_index(
        op.f("ix_staged_rows_ledger_id_import_id_identity_occurrence"), table_name="staged_rows"
    )
    op.add_column("staged_rows", sa.Column("wallet_id", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("staged_rows", "wallet_id")
    op.create_index(
        op.f("ix_staged_rows_ledger_id_import_id_identity_occurrence"),
        "staged_rows",
        ["ledger_id", "import_id", "identity", "occurrence"],
    )
    op.drop_table("import_references")
