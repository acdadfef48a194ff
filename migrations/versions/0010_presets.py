"""The form of an answer, presets of an account's own, and the brands that it knows."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010_presets"
down_revision = "0009_webhooks"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("analyses", sa.Column("preset_options", postgresql.JSONB(), nullable=True))
    op.add_column("analyses", sa.Column("response_format", sa.JSON(), nullable=True))
    op.add_column("analyses", sa.Column("preset_id", sa.String(40, collation="C"), nullable=True))
    op.add_column(
        "analyses",
        sa.Column("is_trial", sa.Boolean(), server_default="false", nullable=False),
    )
    op.add_column(
        "analyses", sa.Column("require_quality", postgresql.ARRAY(sa.String(length=64)), nullable=True)
    )
    op.add_column("analyses", sa.Column("stronger_model", sa.String(length=200), nullable=True))
    op.add_column("analyses", sa.Column("first_model", sa.String(length=200), nullable=True))
    op.add_column("analyses", sa.Column("first_cost", sa.Numeric(precision=18, scale=10), nullable=True))
    op.add_column("analyses", sa.Column("escalation", sa.Text(), nullable=True))
    op.add_column("calls", sa.Column("saved_cost", sa.Numeric(precision=18, scale=10), nullable=True))
    op.create_table(
        "presets",
        sa.Column("id", sa.String(length=40, collation="C"), nullable=False),
        sa.Column("account_id", sa.String(length=40, collation="C"), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("pack", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_presets_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_presets")),
    )
    op.create_index("uq_presets_version", "presets", ["account_id", "name", "version"], unique=True)
    op.create_table(
        "brands",
        sa.Column("id", sa.String(length=40, collation="C"), nullable=False),
        sa.Column("account_id", sa.String(length=40, collation="C"), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("key", sa.String(length=800), nullable=False),
        sa.Column("aliases", postgresql.ARRAY(sa.String(length=200)), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_brands_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_brands")),
    )
    op.create_index("uq_brands_key", "brands", ["account_id", "key"], unique=True)
    op.create_index(op.f("ix_brands_account_id_id"), "brands", ["account_id", "id"])
    op.create_table(
        "taxonomies",
        sa.Column("account_id", sa.String(length=40, collation="C"), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("nodes", sa.JSON(), nullable=False),
        sa.Column("node_count", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_taxonomies_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", "name", name=op.f("pk_taxonomies")),
    )


def downgrade() -> None:
    op.drop_table("taxonomies")
    op.drop_table("brands")
    op.drop_table("presets")
    op.drop_column("calls", "saved_cost")
    for name in ("escalation", "first_cost", "first_model", "stronger_model"):
        op.drop_column("analyses", name)
    for name in ("require_quality", "is_trial", "preset_id", "response_format", "preset_options"):
        op.drop_column("analyses", name)
