"""Every table of the first release."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


NETWORK_OF = """
CREATE FUNCTION network_of(chain text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN chain IN ('ethereum', 'optimism', 'bnb', 'gnosis', 'polygon', 'base', 'arbitrum',
                           'avalanche', 'sepolia') THEN 'evm' ELSE chain END
"""
"""The address space of a chain; freshledger.chains has the same table (a test compares)."""


def upgrade() -> None:
    op.execute(NETWORK_OF)
    op.create_table(
        "invitations",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("is_admin", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_invitations_token_hash")),
    )
    op.create_table(
        "ledgers",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledgers")),
    )
    op.create_table(
        "login_failures",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column(
            "at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_login_failures")),
    )
    op.create_index(
        op.f("ix_login_failures_subject_at"), "login_failures", ["subject", "at"], unique=False
    )
    op.create_table(
        "users",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("is_admin", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("time_zone", sa.Text(), server_default="UTC", nullable=False),
        sa.Column("theme", sa.Text(), server_default="auto", nullable=False),
        sa.Column("page_size", sa.BigInteger(), server_default="50", nullable=False),
        sa.Column("settings_version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("theme IN ('auto', 'light', 'dark')", name=op.f("ck_users_theme")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
    )
    op.create_index("uq_users_email", "users", [sa.literal_column("lower(email)")], unique=True)
    op.create_table(
        "changes",
        sa.Column("ledger_id", sa.BigInteger(), nullable=False),
        sa.Column("tx", sa.Uuid(), nullable=False),
        sa.Column("part", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("import_id", sa.BigInteger(), nullable=True),
        sa.Column("ids", postgresql.ARRAY(sa.BigInteger()), nullable=True),
        sa.Column("before", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("after", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint("operation IN ('I', 'U', 'D')", name=op.f("ck_changes_operation")),
        sa.ForeignKeyConstraint(
            ["ledger_id"], ["ledgers.id"], name=op.f("fk_changes_ledger_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("ledger_id", "tx", "part", name=op.f("pk_changes")),
    )
    op.create_table(
        "contacts",
        sa.Column("ledger_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["ledger_id"], ["ledgers.id"], name=op.f("fk_contacts_ledger_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("ledger_id", "id", name=op.f("pk_contacts")),
    )
    op.create_index(
        "uq_contacts_name", "contacts", ["ledger_id", sa.literal_column("lower(name)")], unique=True
    )
    op.create_table(
        "exports",
        sa.Column("ledger_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="making", nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=True),
        sa.Column("done", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('making', 'done', 'failed', 'cancelled')", name=op.f("ck_exports_status")
        ),
        sa.ForeignKeyConstraint(
            ["ledger_id"], ["ledgers.id"], name=op.f("fk_exports_ledger_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_exports_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("ledger_id", "id", name=op.f("pk_exports")),
    )
    op.create_index(op.f("ix_exports_user_id"), "exports", ["user_id"], unique=False)
    op.create_table(
        "heads",
        sa.Column("ledger_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("tx", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["ledger_id"], ["ledgers.id"], name=op.f("fk_heads_ledger_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("ledger_id", name=op.f("pk_heads")),
        postgresql_with={"fillfactor": 20},
    )
    op.create_table(
        "labels",
        sa.Column("ledger_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("color", sa.Text(), server_default="gray", nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "color IN ('gray', 'red', 'orange', 'amber', 'lime', 'green', 'teal', 'cyan', 'blue', 'indigo', 'purple', 'pink')",
            name=op.f("ck_labels_color"),
        ),
        sa.ForeignKeyConstraint(
            ["ledger_id"], ["ledgers.id"], name=op.f("fk_labels_ledger_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("ledger_id", "id", name=op.f("pk_labels")),
    )
    op.create_index(
        "uq_labels_name", "labels", ["ledger_id", sa.literal_column("lower(name)")], unique=True
    )
    op.create_table(
        "members",
        sa.Column("ledger_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("role IN ('owner', 'editor', 'viewer')", name=op.f("ck_members_role")),
        sa.ForeignKeyConstraint(
            ["ledger_id"], ["ledgers.id"], name=op.f("fk_members_ledger_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_members_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("ledger_id", "user_id", name=op.f("pk_members")),
    )
    op.create_index(op.f("ix_members_user_id"), "members", ["user_id"], unique=False)
    op.create_table(
        "reference_labels",
        sa.Column("ledger_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("origin", sa.Text(), nullable=True),
        sa.Column("spendable", sa.Boolean(), nullable=True),
        sa.Column(
            "extra", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["ledger_id"],
            ["ledgers.id"],
            name=op.f("fk_reference_labels_ledger_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("ledger_id", "id", name=op.f("pk_reference_labels")),
        sa.UniqueConstraint(
            "ledger_id",
            "type",
            "ref",
            "origin",
            "label",
            name=op.f("uq_reference_labels_ledger_id_type_ref_origin_label"),
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_table(
        "revisions",
        sa.Column("ledger_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tx", sa.Uuid(), nullable=False),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["ledger_id"], ["ledgers.id"], name=op.f("fk_revisions_ledger_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("ledger_id", "version", name=op.f("pk_revisions")),
        sa.UniqueConstraint("ledger_id", "tx", name=op.f("uq_revisions_ledger_id_tx")),
    )
    op.create_table(
        "saved_filters",
        sa.Column("ledger_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["ledger_id"],
            ["ledgers.id"],
            name=op.f("fk_saved_filters_ledger_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_saved_filters_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("ledger_id", "id", name=op.f("pk_saved_filters")),
    )
    op.create_index(op.f("ix_saved_filters_user_id"), "saved_filters", ["user_id"], unique=False)
    op.create_index(
        "uq_saved_filters_name",
        "saved_filters",
        ["ledger_id", "user_id", sa.literal_column("lower(name)")],
        unique=True,
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("user_agent", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_sessions_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_sessions_token_hash")),
    )
    op.create_index(op.f("ix_sessions_user_id"), "sessions", ["user_id"], unique=False)
    op.create_table(
        "tokens",
        sa.Column("ledger_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("scope IN ('read', 'write')", name=op.f("ck_tokens_scope")),
        sa.ForeignKeyConstraint(
            ["ledger_id"], ["ledgers.id"], name=op.f("fk_tokens_ledger_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_tokens_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("ledger_id", "id", name=op.f("pk_tokens")),
    )
    op.create_index(op.f("ix_tokens_user_id"), "tokens", ["user_id"], unique=False)
    op.create_index("uq_tokens_token_hash", "tokens", ["ledger_id", "token_hash"], unique=True)
    op.create_table(
        "wallets",
        sa.Column("ledger_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["ledger_id"], ["ledgers.id"], name=op.f("fk_wallets_ledger_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("ledger_id", "id", name=op.f("pk_wallets")),
    )
    op.create_index(
        "uq_wallets_name", "wallets", ["ledger_id", sa.literal_column("lower(name)")], unique=True
    )
    op.create_table(
        "contact_addresses",
        sa.Column("ledger_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("contact_id", sa.BigInteger(), nullable=False),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["ledger_id", "contact_id"],
            ["contacts.ledger_id", "contacts.id"],
            name=op.f("fk_contact_addresses_ledger_id_contact_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["ledger_id"],
            ["ledgers.id"],
            name=op.f("fk_contact_addresses_ledger_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("ledger_id", "id", name=op.f("pk_contact_addresses")),
        sa.UniqueConstraint(
            "ledger_id",
            "address",
            "network",
            name=op.f("uq_contact_addresses_ledger_id_address_network"),
        ),
    )
    op.create_index(
        op.f("ix_contact_addresses_ledger_id_contact_id"),
        "contact_addresses",
        ["ledger_id", "contact_id"],
        unique=False,
    )
    op.create_table(
        "imports",
        sa.Column("ledger_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("wallet_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.Text(), server_default="staged", nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column(
            "options", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False
        ),
        sa.Column(
            "counts", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('staged', 'committing', 'done', 'failed', 'cancelled', 'taken_back')",
            name=op.f("ck_imports_status"),
        ),
        sa.ForeignKeyConstraint(
            ["ledger_id", "wallet_id"],
            ["wallets.ledger_id", "wallets.id"],
            name=op.f("fk_imports_ledger_id_wallet_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["ledger_id"], ["ledgers.id"], name=op.f("fk_imports_ledger_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_imports_user_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("ledger_id", "id", name=op.f("pk_imports")),
    )
    op.create_index(
        op.f("ix_imports_ledger_id_wallet_id"), "imports", ["ledger_id", "wallet_id"], unique=False
    )
    op.create_index(op.f("ix_imports_user_id"), "imports", ["user_id"], unique=False)
    op.create_table(
        "token_uses",
        sa.Column("ledger_id", sa.BigInteger(), nullable=False),
        sa.Column("token_id", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["ledger_id", "token_id"],
            ["tokens.ledger_id", "tokens.id"],
            name=op.f("fk_token_uses_ledger_id_token_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["ledger_id"], ["ledgers.id"], name=op.f("fk_token_uses_ledger_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("ledger_id", "token_id", name=op.f("pk_token_uses")),
    )
    op.create_table(
        "tombstones",
        sa.Column("ledger_id", sa.BigInteger(), nullable=False),
        sa.Column("wallet_id", sa.BigInteger(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("occurrence", sa.Integer(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["ledger_id", "wallet_id"],
            ["wallets.ledger_id", "wallets.id"],
            name=op.f("fk_tombstones_ledger_id_wallet_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["ledger_id"], ["ledgers.id"], name=op.f("fk_tombstones_ledger_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint(
            "ledger_id", "wallet_id", "identity", "occurrence", name=op.f("pk_tombstones")
        ),
    )
    op.create_table(
        "transactions",
        sa.Column("ledger_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("wallet_id", sa.BigInteger(), nullable=False),
        sa.Column("own_address", sa.Text(), nullable=True),
        sa.Column("chain", sa.Text(), nullable=True),
        sa.Column(
            "network", sa.Text(), sa.Computed("network_of(chain)", persisted=True), nullable=True
        ),
        sa.Column("txid", sa.Text(), nullable=True),
        sa.Column("group_key", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("occurrence", sa.Integer(), server_default="0", nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="confirmed", nullable=False),
        sa.Column("asset", sa.Text(), nullable=False),
        sa.Column("contract", sa.Text(), nullable=True),
        sa.Column("amount", sa.Numeric(), nullable=False),
        sa.Column("counterparty", sa.Text(), nullable=True),
        sa.Column("contact_id", sa.BigInteger(), nullable=True),
        sa.Column("fiat_value", sa.Numeric(), nullable=True),
        sa.Column("fiat_currency", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("hand_edited", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "amount <> 'NaN' AND abs(amount) < 'Infinity'", name=op.f("ck_transactions_amount")
        ),
        sa.CheckConstraint(
            "status <> 'failed' OR amount = 0", name=op.f("ck_transactions_failed_moves_nothing")
        ),
        sa.CheckConstraint(
            "status IN ('confirmed', 'pending', 'failed')", name=op.f("ck_transactions_status")
        ),
        sa.CheckConstraint(
            "type IN ('receive', 'send', 'trade', 'transfer', 'fee', 'reward', 'income', 'mint', 'burn', 'other')",
            name=op.f("ck_transactions_type"),
        ),
        sa.ForeignKeyConstraint(
            ["ledger_id", "contact_id"],
            ["contacts.ledger_id", "contacts.id"],
            name=op.f("fk_transactions_ledger_id_contact_id"),
            ondelete="SET NULL (contact_id)",
        ),
        sa.ForeignKeyConstraint(
            ["ledger_id", "wallet_id"],
            ["wallets.ledger_id", "wallets.id"],
            name=op.f("fk_transactions_ledger_id_wallet_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["ledger_id"],
            ["ledgers.id"],
            name=op.f("fk_transactions_ledger_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("ledger_id", "id", name=op.f("pk_transactions")),
        sa.UniqueConstraint(
            "ledger_id", "id", "occurred_at", name=op.f("uq_transactions_ledger_id_id_occurred_at")
        ),
        sa.UniqueConstraint(
            "ledger_id",
            "wallet_id",
            "identity",
            "occurrence",
            name=op.f("uq_transactions_ledger_id_wallet_id_identity_occurrence"),
        ),
    )
    op.create_index(
        "ix_transactions_amount",
        "transactions",
        ["ledger_id", sa.literal_column("abs(amount)"), "occurred_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_transactions_asset",
        "transactions",
        ["ledger_id", "asset", "occurred_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_transactions_chain",
        "transactions",
        ["ledger_id", "chain", "occurred_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_transactions_contact",
        "transactions",
        ["ledger_id", "contact_id", "occurred_at", "id"],
        unique=False,
        postgresql_where=sa.text("contact_id IS NOT NULL"),
    )
    op.create_index(
        "ix_transactions_contract",
        "transactions",
        ["ledger_id", "contract", "occurred_at", "id"],
        unique=False,
        postgresql_where=sa.text("contract IS NOT NULL"),
    )
    op.create_index(
        "ix_transactions_counterparty",
        "transactions",
        ["ledger_id", "counterparty", "occurred_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_transactions_counterparty_prefix",
        "transactions",
        ["ledger_id", "counterparty"],
        unique=False,
        postgresql_ops={"counterparty": "text_pattern_ops"},
    )
    op.create_index(
        "ix_transactions_group", "transactions", ["ledger_id", "group_key"], unique=False
    )
    op.create_index(
        "ix_transactions_newest", "transactions", ["ledger_id", "occurred_at", "id"], unique=False
    )
    op.create_index(
        "ix_transactions_own_address",
        "transactions",
        ["ledger_id", "own_address", "occurred_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_transactions_status",
        "transactions",
        ["ledger_id", "status", "occurred_at", "id"],
        unique=False,
        postgresql_where=sa.text("status <> 'confirmed'"),
    )
    op.create_index("ix_transactions_txid", "transactions", ["ledger_id", "txid"], unique=False)
    op.create_index(
        "ix_transactions_type",
        "transactions",
        ["ledger_id", "type", "occurred_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_transactions_wallet",
        "transactions",
        ["ledger_id", "wallet_id", "occurred_at", "id"],
        unique=False,
    )
    op.create_table(
        "wallet_addresses",
        sa.Column("ledger_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("wallet_id", sa.BigInteger(), nullable=False),
        sa.Column("chain", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["ledger_id", "wallet_id"],
            ["wallets.ledger_id", "wallets.id"],
            name=op.f("fk_wallet_addresses_ledger_id_wallet_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["ledger_id"],
            ["ledgers.id"],
            name=op.f("fk_wallet_addresses_ledger_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("ledger_id", "id", name=op.f("pk_wallet_addresses")),
        sa.UniqueConstraint(
            "ledger_id",
            "chain",
            "address",
            name=op.f("uq_wallet_addresses_ledger_id_chain_address"),
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_index(
        op.f("ix_wallet_addresses_ledger_id_wallet_id"),
        "wallet_addresses",
        ["ledger_id", "wallet_id"],
        unique=False,
    )
    op.create_table(
        "import_files",
        sa.Column("ledger_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("import_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["ledger_id", "import_id"],
            ["imports.ledger_id", "imports.id"],
            name=op.f("fk_import_files_ledger_id_import_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["ledger_id"],
            ["ledgers.id"],
            name=op.f("fk_import_files_ledger_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("ledger_id", "id", name=op.f("pk_import_files")),
    )
    op.create_index(
        op.f("ix_import_files_ledger_id_import_id"),
        "import_files",
        ["ledger_id", "import_id"],
        unique=False,
    )
    op.create_table(
        "import_rows",
        sa.Column("ledger_id", sa.BigInteger(), nullable=False),
        sa.Column("import_id", sa.BigInteger(), nullable=False),
        sa.Column("transaction_id", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "outcome IN ('new', 'there', 'updated')", name=op.f("ck_import_rows_outcome")
        ),
        sa.ForeignKeyConstraint(
            ["ledger_id", "import_id"],
            ["imports.ledger_id", "imports.id"],
            name=op.f("fk_import_rows_ledger_id_import_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["ledger_id"], ["ledgers.id"], name=op.f("fk_import_rows_ledger_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint(
            "ledger_id", "import_id", "transaction_id", name=op.f("pk_import_rows")
        ),
    )
    op.create_index(
        op.f("ix_import_rows_ledger_id_transaction_id"),
        "import_rows",
        ["ledger_id", "transaction_id"],
        unique=False,
    )
    op.create_table(
        "staged_rows",
        sa.Column("ledger_id", sa.BigInteger(), nullable=False),
        sa.Column("import_id", sa.BigInteger(), nullable=False),
        sa.Column("file_id", sa.BigInteger(), nullable=False),
        sa.Column("n", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=True),
        sa.Column("occurrence", sa.Integer(), nullable=True),
        sa.Column("group_key", sa.Text(), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("type", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("asset", sa.Text(), nullable=True),
        sa.Column("contract", sa.Text(), nullable=True),
        sa.Column("amount", sa.Numeric(), nullable=True),
        sa.Column("chain", sa.Text(), nullable=True),
        sa.Column("txid", sa.Text(), nullable=True),
        sa.Column("own_address", sa.Text(), nullable=True),
        sa.Column("counterparty", sa.Text(), nullable=True),
        sa.Column("contact", sa.Text(), nullable=True),
        sa.Column("fiat_value", sa.Numeric(), nullable=True),
        sa.Column("fiat_currency", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("labels", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.ForeignKeyConstraint(
            ["ledger_id", "import_id"],
            ["imports.ledger_id", "imports.id"],
            name=op.f("fk_staged_rows_ledger_id_import_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["ledger_id"], ["ledgers.id"], name=op.f("fk_staged_rows_ledger_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint(
            "ledger_id", "import_id", "file_id", "n", name=op.f("pk_staged_rows")
        ),
        prefixes=["UNLOGGED"],
    )
    op.create_index(
        op.f("ix_staged_rows_ledger_id_import_id_identity_occurrence"),
        "staged_rows",
        ["ledger_id", "import_id", "identity", "occurrence"],
        unique=False,
    )
    op.create_table(
        "transaction_labels",
        sa.Column("ledger_id", sa.BigInteger(), nullable=False),
        sa.Column("transaction_id", sa.BigInteger(), nullable=False),
        sa.Column("label_id", sa.BigInteger(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["ledger_id", "label_id"],
            ["labels.ledger_id", "labels.id"],
            name=op.f("fk_transaction_labels_ledger_id_label_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["ledger_id", "transaction_id", "occurred_at"],
            ["transactions.ledger_id", "transactions.id", "transactions.occurred_at"],
            name=op.f("fk_transaction_labels_ledger_id_transaction_id_occurred_at"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["ledger_id"],
            ["ledgers.id"],
            name=op.f("fk_transaction_labels_ledger_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "ledger_id", "transaction_id", "label_id", name=op.f("pk_transaction_labels")
        ),
    )
    op.create_index(
        "ix_transaction_labels_newest",
        "transaction_labels",
        ["ledger_id", "label_id", "occurred_at", "transaction_id"],
        unique=False,
    )


def downgrade() -> None:
    op.drop_index("ix_transaction_labels_newest", table_name="transaction_labels")
    op.drop_table("transaction_labels")
    op.drop_index(
        op.f("ix_staged_rows_ledger_id_import_id_identity_occurrence"), table_name="staged_rows"
    )
    op.drop_table("staged_rows")
    op.drop_index(op.f("ix_import_rows_ledger_id_transaction_id"), table_name="import_rows")
    op.drop_table("import_rows")
    op.drop_index(op.f("ix_import_files_ledger_id_import_id"), table_name="import_files")
    op.drop_table("import_files")
    op.drop_index(op.f("ix_wallet_addresses_ledger_id_wallet_id"), table_name="wallet_addresses")
    op.drop_table("wallet_addresses")
    op.drop_index("ix_transactions_wallet", table_name="transactions")
    op.drop_index("ix_transactions_type", table_name="transactions")
    op.drop_index("ix_transactions_txid", table_name="transactions")
    op.drop_index(
        "ix_transactions_status",
        table_name="transactions",
        postgresql_where=sa.text("status <> 'confirmed'"),
    )
    op.drop_index("ix_transactions_own_address", table_name="transactions")
    op.drop_index("ix_transactions_newest", table_name="transactions")
    op.drop_index("ix_transactions_group", table_name="transactions")
    op.drop_index(
        "ix_transactions_counterparty_prefix",
        table_name="transactions",
        postgresql_ops={"counterparty": "text_pattern_ops"},
    )
    op.drop_index("ix_transactions_counterparty", table_name="transactions")
    op.drop_index(
        "ix_transactions_contract",
        table_name="transactions",
        postgresql_where=sa.text("contract IS NOT NULL"),
    )
    op.drop_index(
        "ix_transactions_contact",
        table_name="transactions",
        postgresql_where=sa.text("contact_id IS NOT NULL"),
    )
    op.drop_index("ix_transactions_chain", table_name="transactions")
    op.drop_index("ix_transactions_asset", table_name="transactions")
    op.drop_index("ix_transactions_amount", table_name="transactions")
    op.drop_table("transactions")
    op.drop_table("tombstones")
    op.drop_table("token_uses")
    op.drop_index(op.f("ix_imports_user_id"), table_name="imports")
    op.drop_index(op.f("ix_imports_ledger_id_wallet_id"), table_name="imports")
    op.drop_table("imports")
    op.drop_index(op.f("ix_contact_addresses_ledger_id_contact_id"), table_name="contact_addresses")
    op.drop_table("contact_addresses")
    op.drop_index("uq_wallets_name", table_name="wallets")
    op.drop_table("wallets")
    op.drop_index("uq_tokens_token_hash", table_name="tokens")
    op.drop_index(op.f("ix_tokens_user_id"), table_name="tokens")
    op.drop_table("tokens")
    op.drop_index(op.f("ix_sessions_user_id"), table_name="sessions")
    op.drop_table("sessions")
    op.drop_index("uq_saved_filters_name", table_name="saved_filters")
    op.drop_index(op.f("ix_saved_filters_user_id"), table_name="saved_filters")
    op.drop_table("saved_filters")
    op.drop_table("revisions")
    op.drop_table("reference_labels")
    op.drop_index(op.f("ix_members_user_id"), table_name="members")
    op.drop_table("members")
    op.drop_index("uq_labels_name", table_name="labels")
    op.drop_table("labels")
    op.drop_table("heads")
    op.drop_index(op.f("ix_exports_user_id"), table_name="exports")
    op.drop_table("exports")
    op.drop_index("uq_contacts_name", table_name="contacts")
    op.drop_table("contacts")
    op.drop_table("changes")
    op.drop_index("uq_users_email", table_name="users")
    op.drop_table("users")
    op.drop_index(op.f("ix_login_failures_subject_at"), table_name="login_failures")
    op.drop_table("login_failures")
    op.drop_table("ledgers")
    op.drop_table("invitations")
    op.execute("DROP FUNCTION network_of(text)")
