"""An import is taken back by a task: it has a status for that."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

BEFORE = ("reading", "staged", "committing", "done", "failed", "cancelled", "taken_back")


def upgrade() -> None:
    constrain(("taking_back", *BEFORE))


def constrain(statuses: tuple[str, ...]) -> None:
    """Let imports have these statuses only."""
    op.drop_constraint(op.f("ck_imports_status"), "imports")
    op.create_check_constraint(op.f("ck_imports_status"), "imports", f"status IN {statuses}")


def downgrade() -> None:
    op.execute("UPDATE imports SET status = 'done' WHERE status = 'taking_back'")
    constrain(BEFORE)
