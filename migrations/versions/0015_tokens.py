"""How many tokens an image may take, and how many its preparation saved."""

import sqlalchemy as sa
from alembic import op

revision = "0015_tokens"
down_revision = "0014_reuse"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("analyses", sa.Column("max_image_tokens", sa.Integer(), nullable=True))
    op.add_column("calls", sa.Column("saved_image_tokens", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("calls", "saved_image_tokens")
    op.drop_column("analyses", "max_image_tokens")
