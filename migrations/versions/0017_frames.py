"""What near-duplicates are sieved by, in a narrow table: every row of it is read for each question."""

import sqlalchemy as sa
from alembic import op
from pgvector.sqlalchemy import BIT, HALFVEC

revision = "0017_frames"
down_revision = "0016_similar"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "image_frames",
        sa.Column("hash", BIT(256), nullable=False),
        sa.Column("frame", HALFVEC(48), nullable=False),
        sa.Column("digest", sa.String(length=64, collation="C"), nullable=False),
        sa.ForeignKeyConstraint(
            ["digest"], ["image_features.digest"], name=op.f("fk_image_frames_digest"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_image_frames")),
    )
    op.execute(
        "INSERT INTO image_frames (hash, frame, digest) "
        "SELECT hash, subvector(vector, 1, 48), digest FROM image_features WHERE vector IS NOT NULL"
    )


def downgrade() -> None:
    op.drop_table("image_frames")
