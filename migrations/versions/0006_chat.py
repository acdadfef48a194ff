"""Chats: the request as it came, and the endpoint's reply as it was given."""

import sqlalchemy as sa
from alembic import op

revision = "0006_chat"
down_revision = "0005_budgets"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("analyses", sa.Column("body", sa.JSON(), nullable=True))
    op.add_column("analyses", sa.Column("reply", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("analyses", "reply")
    op.drop_column("analyses", "body")
