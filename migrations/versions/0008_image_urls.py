"""Images that are named by a URL and fetched by a worker."""

import sqlalchemy as sa
from alembic import op

revision = "0008_image_urls"
down_revision = "0007_v1"
branch_labels = None
depends_on = None

ID = sa.String(length=40, collation="C")


def upgrade() -> None:
    op.add_column("analysis_images", sa.Column("url", sa.Text(), nullable=True))
    op.alter_column("analysis_images", "file_id", nullable=True)
    op.create_check_constraint(
        op.f("ck_analysis_images_source"), "analysis_images", "file_id IS NOT NULL OR url IS NOT NULL"
    )
    op.create_table(
        "fetches",
        sa.Column("account_id", ID, nullable=False),
        sa.Column("url_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("file_id", ID, nullable=False),
        sa.Column("etag", sa.Text(), nullable=True),
        sa.Column("last_modified", sa.Text(), nullable=True),
        sa.Column("fetched_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_fetches_account_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["file_id"], ["files.id"], name=op.f("fk_fetches_file_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", "url_digest", name=op.f("pk_fetches")),
    )
    op.create_index(op.f("ix_fetches_file_id"), "fetches", ["file_id"])


def downgrade() -> None:
    op.drop_table("fetches")
    op.execute("DELETE FROM analysis_images WHERE file_id IS NULL")  # what was never fetched
    op.drop_constraint(op.f("ck_analysis_images_source"), "analysis_images")
    op.alter_column("analysis_images", "file_id", nullable=False)
    op.drop_column("analysis_images", "url")
