"""Fewer entries in indexes for each step of an analysis: see docs/decisions/0024-lean-indexes.md."""

import sqlalchemy as sa
from alembic import op

revision = "0019_lean_indexes"
down_revision = "0018_embeddings"
branch_labels = None
depends_on = None

OPEN, RUNNING, ALONE = "state IN ('queued', 'running')", "state = 'running'", "batch_id IS NULL"


def upgrade() -> None:
    _index("ix_analyses_running", "id", RUNNING)
    _index("ix_analyses_overdue", "deadline_at", f"{OPEN} AND {ALONE}")
    op.drop_index("ix_analyses_leased", table_name="analyses")
    op.drop_index("ix_analyses_deadline", table_name="analyses")


def downgrade() -> None:
    _index("ix_analyses_deadline", "deadline_at", OPEN)
    _index("ix_analyses_leased", "lease_until", RUNNING)
    op.drop_index("ix_analyses_overdue", table_name="analyses")
    op.drop_index("ix_analyses_running", table_name="analyses")


def _index(name: str, column: str, where: str) -> None:
    op.create_index(name, "analyses", [column], postgresql_where=sa.text(where))
