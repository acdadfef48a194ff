"""What images look like, and answers that are given again for those; needs the extension pgvector."""

import sqlalchemy as sa
from alembic import op
from pgvector.sqlalchemy import BIT, HALFVEC
from sqlalchemy.exc import DBAPIError

from core.errors import Unavailable

revision = "0016_similar"
down_revision = "0015_tokens"
branch_labels = None
depends_on = None

OLDEST = (0, 8)
"""The first pgvector that goes on searching an index until enough rows fit a filter."""


def upgrade() -> None:
    demand_pgvector(op.get_bind())
    op.create_table(
        "image_features",
        sa.Column("digest", sa.String(length=64, collation="C"), nullable=False),
        sa.Column("version", sa.SmallInteger(), nullable=False),
        sa.Column("hash", BIT(256), nullable=True),
        sa.Column("layout", sa.LargeBinary(), nullable=True),
        sa.Column("vector", HALFVEC(126), nullable=True),
        sa.Column("error_code", sa.String(length=60), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["digest"], ["blobs.digest"], name=op.f("fk_image_features_digest"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_image_features")),
    )
    op.create_index(
        "ix_image_features_vector",
        "image_features",
        ["vector"],
        postgresql_using="hnsw",
        postgresql_with={"m": 16, "ef_construction": 64},
        postgresql_ops={"vector": "halfvec_l2_ops"},
    )
    op.add_column("analyses", sa.Column("reuses_near", sa.Boolean(), server_default="false", nullable=False))
    op.add_column("analyses", sa.Column("reused_distance", sa.SmallInteger(), nullable=True))


def demand_pgvector(connection: sa.Connection) -> None:
    """Raises Unavailable, which says what to do, where the extension is not to be had."""
    version = connection.scalar(sa.text("SELECT extversion FROM pg_extension WHERE extname = 'vector'"))
    if version is None:
        try:
            connection.execute(sa.text("CREATE EXTENSION vector"))
        except DBAPIError as error:
            raise Unavailable(_what_to_do(str(getattr(error.orig, "sqlstate", "")))) from error
        version = connection.scalar(sa.text("SELECT extversion FROM pg_extension WHERE extname = 'vector'"))
    if tuple(int(number) for number in version.split(".")[:2]) < OLDEST:
        raise Unavailable(
            f"The database has pgvector {version}, and 0.8 or newer is needed: update it, then let a "
            "superuser run ALTER EXTENSION vector UPDATE in this database."
        )


def _what_to_do(sqlstate: str) -> str:
    if sqlstate == "42501":  # insufficient_privilege
        return (
            "The database user may not add the extension pgvector: let a superuser run CREATE EXTENSION "
            "vector in this database once, then migrate again."
        )
    return (
        "The Postgres server lacks the extension pgvector: install it, or use the image pgvector/pgvector "
        "(https://github.com/pgvector/pgvector), then migrate again. Nothing was changed."
    )


def downgrade() -> None:
    op.drop_column("analyses", "reused_distance")
    op.drop_column("analyses", "reuses_near")
    op.drop_table("image_features")
