"""Links carry what is filtered together with a label; indexes for pairs of filters, and for text.

A link's wallet, asset and type are part of its foreign key, so that they follow their
transaction; `carry` fills them in for whoever inserts a link without them.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

CARRIED: dict[str, sa.types.TypeEngine[Any]] = {
    "wallet_id": sa.BigInteger(),
    "asset": sa.Text(),
    "type": sa.Text(),
}
LINKED = ["ledger_id", "transaction_id", "occurred_at"]
KEY = ["ledger_id", "id", "occurred_at"]

ROWS = {
    "wallet_asset": ("wallet_id", "asset"),
    "wallet_type": ("wallet_id", "type"),
    "wallet_status": ("wallet_id", "status"),
    "asset_type": ("asset", "type"),
    "asset_chain": ("asset", "chain"),
    "counterparty_asset": ("counterparty", "asset"),
}
BY_HAND = sa.text("contact_id IS NOT NULL")
SIZE = sa.text("abs(amount)")

CARRY = """
CREATE FUNCTION carry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  SELECT t.wallet_id, t.asset, t.type INTO NEW.wallet_id, NEW.asset, NEW.type
  FROM transactions t WHERE t.ledger_id = NEW.ledger_id AND t.id = NEW.transaction_id;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no transaction % in ledger %', NEW.transaction_id, NEW.ledger_id
      USING ERRCODE = 'foreign_key_violation', TABLE = 'transaction_labels';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER carry BEFORE INSERT ON transaction_labels FOR EACH ROW
  WHEN (NEW.wallet_id IS NULL OR NEW.asset IS NULL OR NEW.type IS NULL) EXECUTE FUNCTION carry();
ALTER TABLE transaction_labels ENABLE ALWAYS TRIGGER carry;
"""

FILL = """
ALTER TABLE transaction_labels DISABLE TRIGGER note_update;
UPDATE transaction_labels l SET wallet_id = t.wallet_id, asset = t.asset, type = t.type
FROM transactions t WHERE t.ledger_id = l.ledger_id AND t.id = l.transaction_id;
ALTER TABLE transaction_labels ENABLE ALWAYS TRIGGER note_update;
"""


def run(statements: str) -> None:
    op.get_bind().exec_driver_sql("DO $do$ BEGIN EXECUTE $sql$" + statements + "$sql$; END $do$")


def key_columns(carried: list[str]) -> None:
    """Make the key that links refer to: with what they carry, or without."""
    suffix = "_".join(LINKED + carried)
    op.create_unique_constraint(
        op.f("uq_transactions_" + "_".join(KEY + carried)), "transactions", KEY + carried
    )
    op.create_foreign_key(
        op.f("fk_transaction_labels_" + suffix),
        "transaction_labels",
        "transactions",
        LINKED + carried,
        KEY + carried,
        onupdate="CASCADE",
        ondelete="CASCADE",
    )


def drop_key_columns(carried: list[str]) -> None:
    op.drop_constraint(
        op.f("fk_transaction_labels_" + "_".join(LINKED + carried)), "transaction_labels"
    )
    op.drop_constraint(op.f("uq_transactions_" + "_".join(KEY + carried)), "transactions")


def upgrade() -> None:
    for name, kind in CARRIED.items():
        op.add_column("transaction_labels", sa.Column(name, kind, nullable=True))
    run(CARRY)
    run(FILL)
    for name in CARRIED:
        op.alter_column("transaction_labels", name, nullable=False)
    drop_key_columns([])
    key_columns(list(CARRIED))
    for name in CARRIED:
        index = f"ix_transaction_labels_{name.removesuffix('_id')}"
        columns = ["ledger_id", "label_id", name, "occurred_at", "transaction_id"]
        op.create_index(index, "transaction_labels", columns)
    for name, leading in ROWS.items():
        order = ["ledger_id", *leading, "occurred_at", "id"]
        op.create_index(f"ix_transactions_{name}", "transactions", order)
    op.create_index(
        "ix_transactions_contact_asset",
        "transactions",
        ["ledger_id", "contact_id", "asset", "occurred_at", "id"],
        postgresql_where=BY_HAND,
    )
    op.create_index(
        "ix_transactions_asset_amount",
        "transactions",
        ["ledger_id", "asset", SIZE, "occurred_at", "id"],
    )
    op.create_index(
        "ix_transactions_note",
        "transactions",
        [sa.text("to_tsvector('simple'::regconfig, note)")],
        postgresql_using="gin",
        postgresql_where=sa.text("note <> ''"),
    )
    op.drop_index("ix_transactions_txid", table_name="transactions")
    op.create_index(
        "ix_transactions_txid",
        "transactions",
        ["ledger_id", "txid"],
        postgresql_ops={"txid": "text_pattern_ops"},
    )
    status(None)


def status(where: sa.TextClause | None) -> None:
    """Make the index of the status anew: of all rows, or of the unusual ones."""
    op.drop_index("ix_transactions_status", table_name="transactions")
    op.create_index(
        "ix_transactions_status",
        "transactions",
        ["ledger_id", "status", "occurred_at", "id"],
        postgresql_where=where,
    )


def downgrade() -> None:
    status(sa.text("status <> 'confirmed'"))
    op.drop_index("ix_transactions_txid", table_name="transactions")
    op.create_index("ix_transactions_txid", "transactions", ["ledger_id", "txid"])
    for name in ("note", "asset_amount", "contact_asset", *ROWS):
        op.drop_index(f"ix_transactions_{name}", table_name="transactions")
    run("DROP TRIGGER carry ON transaction_labels; DROP FUNCTION carry();")
    drop_key_columns(list(CARRIED))
    key_columns([])
    for name in CARRIED:
        op.drop_column("transaction_labels", name)
