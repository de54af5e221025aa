"""An import's files are read by a task: it has a status for that."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BEFORE = ("staged", "committing", "done", "failed", "cancelled", "taken_back")


def upgrade() -> None:
    constrain(("reading", *BEFORE))


def constrain(statuses: tuple[str, ...]) -> None:
    """Let imports have these statuses only."""
    op.drop_constraint(op.f("ck_imports_status"), "imports")
    op.create_check_constraint(op.f("ck_imports_status"), "imports", f"status IN {statuses}")


def downgrade() -> None:
    op.execute("UPDATE imports SET status = 'failed' WHERE status = 'reading'")
    constrain(BEFORE)
