"""No index of when bells were rung: see docs/decisions/0028-quiet-when-idle.md."""

import sqlalchemy as sa
from alembic import op

revision = "0021_unindexed_bells"
down_revision = "0020_embedding_lengths"
branch_labels = None
depends_on = None

RUNG = "state = 'queued' AND rung_at IS NOT NULL"


def upgrade() -> None:
    op.drop_index("ix_analyses_rung", table_name="analyses")


def downgrade() -> None:
    op.create_index("ix_analyses_rung", "analyses", ["rung_at"], postgresql_where=sa.text(RUNG))
