"""The form of an answer and the options of its preset."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006_presets"
down_revision = "0005_budgets"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("analyses", sa.Column("preset_options", postgresql.JSONB(), nullable=True))
    op.add_column("analyses", sa.Column("response_format", sa.JSON(), nullable=True))


def downgrade() -> None:
    for name in ("response_format", "preset_options"):
        op.drop_column("analyses", name)
