"""Batches of the OpenAI API: what they were made from, and what was wrong with it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007_v1"
down_revision = "0006_chat"
branch_labels = None
depends_on = None

STATE, TABLE = "ck_batches_state", "batches"
BEFORE = "state IN ('running', 'paused', 'cancelling', 'completed', 'cancelled', 'expired')"
NOW = "state IN ('running', 'paused', 'cancelling', 'completed', 'failed', 'cancelled', 'expired')"


def upgrade() -> None:
    op.add_column(TABLE, sa.Column("endpoint", sa.String(length=100), nullable=True))
    op.add_column(TABLE, sa.Column("input_file_id", sa.String(length=40, collation="C"), nullable=True))
    op.add_column(TABLE, sa.Column("output_lifetime", sa.Interval(), nullable=True))
    op.add_column(TABLE, sa.Column("errors", postgresql.JSONB(), nullable=True))
    op.add_column(TABLE, sa.Column("cancelling_at", sa.DateTime(timezone=True), nullable=True))
    op.drop_constraint(op.f(STATE), TABLE)
    op.create_check_constraint(op.f(STATE), TABLE, NOW)


def downgrade() -> None:
    op.execute("DELETE FROM batches WHERE state = 'failed'")  # they have no items
    op.drop_constraint(op.f(STATE), TABLE)
    op.create_check_constraint(op.f(STATE), TABLE, BEFORE)
    for column in ("cancelling_at", "errors", "output_lifetime", "input_file_id", "endpoint"):
        op.drop_column(TABLE, column)
