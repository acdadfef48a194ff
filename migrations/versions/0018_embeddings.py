"""What a model of the endpoint makes of images, where one is set for similar images."""

import sqlalchemy as sa
from alembic import op
from pgvector.sqlalchemy import HALFVEC

revision = "0018_embeddings"
down_revision = "0017_frames"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "image_embeddings",
        sa.Column("account_id", sa.String(length=40, collation="C"), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("digest", sa.String(length=64, collation="C"), nullable=False),
        sa.Column("analysis_id", sa.String(length=40, collation="C"), nullable=False),
        sa.Column("dimensions", sa.SmallInteger(), nullable=True),
        sa.Column("vector", HALFVEC(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_image_embeddings_account_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["digest"], ["blobs.digest"], name=op.f("fk_image_embeddings_digest"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", "model", "digest", name=op.f("pk_image_embeddings")),
    )
    op.create_index(op.f("ix_image_embeddings_digest"), "image_embeddings", ["digest"])


def downgrade() -> None:
    op.drop_table("image_embeddings")
