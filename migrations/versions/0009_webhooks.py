"""Webhooks, and what is delivered to them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009_webhooks"
down_revision = "0008_image_urls"
branch_labels = None
depends_on = None

ID = sa.String(length=40, collation="C")
LANE = sa.String(length=80, collation="C")
TIME = sa.DateTime(timezone=True)
PENDING = sa.text("state = 'pending'")


def upgrade() -> None:
    op.create_table(
        "webhooks",
        sa.Column("id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("owner_id", ID, nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("lane", LANE, nullable=True),
        sa.Column("description", sa.String(length=200), server_default="", nullable=False),
        sa.Column("events", postgresql.ARRAY(sa.String(length=40)), nullable=False),
        sa.Column("batch_items", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("secret", sa.Text(), nullable=True),
        sa.Column("old_secret", sa.Text(), nullable=True),
        sa.Column("old_secret_until", TIME, nullable=True),
        sa.Column("created_at", TIME, server_default=sa.func.now(), nullable=False),
        sa.Column("expires_at", TIME, nullable=True),
        sa.Column("disabled_at", TIME, nullable=True),
        sa.Column("disabled_reason", sa.Text(), nullable=True),
        sa.Column("failing_since", TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_webhooks_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
    )
    op.create_index(op.f("ix_webhooks_account_id_id"), "webhooks", ["account_id", "id"])
    op.create_index(
        "ix_webhooks_owner_id", "webhooks", ["owner_id"], postgresql_where=sa.text("disabled_at IS NULL")
    )
    op.create_table(
        "deliveries",
        sa.Column("id", ID, nullable=False),
        sa.Column("webhook_id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("lane", LANE, nullable=True),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("subject_id", ID, nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), server_default="pending", nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_at", TIME, server_default=sa.func.now(), nullable=False),
        sa.Column("next_attempt_at", TIME, server_default=sa.func.now(), nullable=False),
        sa.Column("finished_at", TIME, nullable=True),
        sa.Column("rung_at", TIME, nullable=True),
        sa.Column("lease_until", TIME, nullable=True),
        sa.Column("fence", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint("state IN ('pending', 'delivered', 'failed')", name=op.f("ck_deliveries_state")),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhooks.id"], name=op.f("fk_deliveries_webhook_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
    )
    op.create_index(op.f("ix_deliveries_webhook_id_id"), "deliveries", ["webhook_id", "id"])
    op.create_index(op.f("ix_deliveries_subject_id"), "deliveries", ["subject_id"])
    op.create_index(
        "ix_deliveries_waiting", "deliveries", ["lane", "next_attempt_at"], postgresql_where=PENDING
    )
    op.create_index(
        "ix_deliveries_busy",
        "deliveries",
        ["lane"],
        postgresql_where=sa.text("state = 'pending' AND rung_at IS NOT NULL"),
    )
    op.create_index(
        "ix_deliveries_kept",
        "deliveries",
        ["finished_at"],
        postgresql_where=sa.text("finished_at IS NOT NULL"),
    )
    op.create_table(
        "delivery_attempts",
        sa.Column("delivery_id", ID, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("ended_at", TIME, server_default=sa.func.now(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("reply", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["deliveries.id"],
            name=op.f("fk_delivery_attempts_delivery_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("delivery_id", "number", name=op.f("pk_delivery_attempts")),
    )
    op.add_column("batches", sa.Column("told_quarters", sa.Integer(), server_default="0", nullable=False))
    op.add_column("budgets", sa.Column("told_most", sa.Numeric(precision=24, scale=10), nullable=True))
    op.add_column("budgets", sa.Column("told_period", sa.Date(), nullable=True))


def downgrade() -> None:
    for name in ("told_period", "told_most"):
        op.drop_column("budgets", name)
    op.drop_column("batches", "told_quarters")
    for name in ("delivery_attempts", "deliveries", "webhooks"):
        op.drop_table(name)
