"""Answers that are given again: fingerprints, who waits for whom, and what was saved."""

import sqlalchemy as sa
from alembic import op

revision = "0014_reuse"
down_revision = "0013_sessions"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("analyses", sa.Column("cache_seconds", sa.Integer(), nullable=True))
    op.add_column("analyses", sa.Column("fingerprint", sa.LargeBinary(length=32), nullable=True))
    op.add_column("analyses", sa.Column("follows", sa.String(40, collation="C"), nullable=True))
    op.add_column("analyses", sa.Column("is_followed", sa.Boolean(), server_default="false", nullable=False))
    op.add_column("analyses", sa.Column("is_alone", sa.Boolean(), server_default="false", nullable=False))
    op.add_column("analyses", sa.Column("cached_from", sa.String(40, collation="C"), nullable=True))
    op.create_index(
        "ix_analyses_answers",
        "analyses",
        ["fingerprint", "started_at"],
        postgresql_where=sa.text("state = 'completed' AND fingerprint IS NOT NULL AND cached_from IS NULL"),
    )
    op.create_index(
        "uq_analyses_leading",
        "analyses",
        ["fingerprint"],
        unique=True,
        postgresql_where=sa.text("state = 'running' AND fingerprint IS NOT NULL AND NOT is_alone"),
    )
    op.create_index(
        "ix_analyses_following",
        "analyses",
        ["follows"],
        postgresql_where=sa.text("follows IS NOT NULL"),
    )
    op.create_table(
        "reuses",
        sa.Column("analysis_id", sa.String(40, collation="C"), nullable=False),
        sa.Column("source_id", sa.String(40, collation="C"), nullable=False),
        sa.Column("account_id", sa.String(40, collation="C"), nullable=False),
        sa.Column("key_id", sa.String(40, collation="C"), nullable=False),
        sa.Column("batch_id", sa.String(40, collation="C"), nullable=True),
        sa.Column("preset", sa.String(length=100), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("saved_cost", sa.Numeric(precision=18, scale=10), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("analysis_id", name=op.f("pk_reuses")),
    )
    op.create_index(op.f("ix_reuses_account_id_created_at"), "reuses", ["account_id", "created_at"])


def downgrade() -> None:
    op.drop_table("reuses")
    for name in ("ix_analyses_following", "uq_analyses_leading", "ix_analyses_answers"):
        op.drop_index(name, table_name="analyses")
    for name in ("cached_from", "is_alone", "is_followed", "follows", "fingerprint", "cache_seconds"):
        op.drop_column("analyses", name)
