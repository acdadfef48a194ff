"""Several views of one product: the shop's own key of an analysis, and what each of its images shows."""

import sqlalchemy as sa
from alembic import op

revision = "0011_views"
down_revision = "0010_presets"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("analyses", sa.Column("sku", sa.String(length=128), nullable=True))
    op.add_column("analysis_images", sa.Column("view", sa.String(length=100), nullable=True))
    op.create_index(
        "ix_analyses_sku",
        "analyses",
        ["account_id", "sku", "id"],
        postgresql_where=sa.text("sku IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_analyses_sku", table_name="analyses")
    op.drop_column("analysis_images", "view")
    op.drop_column("analyses", "sku")
