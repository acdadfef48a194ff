"""Idempotency keys, and rate limits of single API keys."""

import sqlalchemy as sa
from alembic import op

revision = "0003_limits"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("rate_limit", sa.String(length=40), nullable=True))
    op.create_table(
        "idempotency_keys",
        sa.Column("account_id", sa.String(length=40, collation="C"), nullable=False),
        sa.Column("route", sa.String(length=200, collation="C"), nullable=False),
        sa.Column("key", sa.String(length=255, collation="C"), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(length=32), nullable=False),
        sa.Column("subject_id", sa.String(length=40, collation="C"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_idempotency_keys_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", "route", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(op.f("ix_idempotency_keys_created_at"), "idempotency_keys", ["created_at"])


def downgrade() -> None:
    op.drop_table("idempotency_keys")
    op.drop_column("api_keys", "rate_limit")
