"""Which analyses are told while they are made."""

import sqlalchemy as sa
from alembic import op

revision = "0012_streams"
down_revision = "0011_views"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("analyses", sa.Column("streamed", sa.Boolean(), server_default="false", nullable=False))


def downgrade() -> None:
    op.drop_column("analyses", "streamed")
