"""What retention reads by age, and batches that are being deleted."""

import sqlalchemy as sa
from alembic import op

revision = "0004_retention"
down_revision = "0003_limits"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("batches", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    for name, table, column, where in (
        ("ix_analyses_kept", "analyses", "finished_at", "finished_at IS NOT NULL AND batch_id IS NULL"),
        ("ix_batches_kept", "batches", "finished_at", "finished_at IS NOT NULL"),
        ("ix_batches_deleted", "batches", "id", "deleted_at IS NOT NULL"),
        ("ix_files_uploaded", "files", "created_at", "purpose <> 'analysis'"),
    ):
        op.create_index(name, table, [column], postgresql_where=sa.text(where))


def downgrade() -> None:
    for name, table in (("ix_files_uploaded", "files"), ("ix_analyses_kept", "analyses")):
        op.drop_index(name, table)
    for name in ("ix_batches_deleted", "ix_batches_kept"):
        op.drop_index(name, "batches")
    op.drop_column("batches", "deleted_at")
