"""Batches: their rows, their items among the analyses, and the dispatcher's clock."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "dispatch",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("virtual_time", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispatch")),
    )
    op.execute("INSERT INTO dispatch (id) VALUES (1)")
    op.create_table(
        "batches",
        sa.Column("id", sa.String(length=40, collation="C"), nullable=False),
        sa.Column("account_id", sa.String(length=40, collation="C"), nullable=False),
        sa.Column("key_id", sa.String(length=40, collation="C"), nullable=False),
        sa.Column("request_id", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("metadata", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("start_tag", sa.BigInteger(), nullable=False),
        sa.Column("dispatch_limit", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('running', 'paused', 'cancelling', 'completed', 'cancelled', 'expired')",
            name=op.f("ck_batches_state"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_batches_account_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["key_id"], ["api_keys.id"], name=op.f("fk_batches_key_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
    )
    op.create_index(op.f("ix_batches_account_id_id"), "batches", ["account_id", "id"])
    op.create_index("ix_batches_open", "batches", ["id"], postgresql_where=sa.text("finished_at IS NULL"))

    op.add_column("analyses", sa.Column("batch_id", sa.String(length=40, collation="C"), nullable=True))
    op.add_column("analyses", sa.Column("position", sa.Integer(), nullable=True))
    op.add_column("analyses", sa.Column("custom_id", sa.String(length=128), nullable=True))
    op.add_column("analyses", sa.Column("finish_xid", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        op.f("fk_analyses_batch_id"), "analyses", "batches", ["batch_id"], ["id"], ondelete="CASCADE"
    )
    op.create_index("ix_calls_open", "calls", ["created_at"], postgresql_where=sa.text("state = 'reserved'"))
    op.create_index(
        "ix_files_expiry", "files", ["expires_at"], postgresql_where=sa.text("expires_at IS NOT NULL")
    )
    op.drop_index("ix_analyses_due", table_name="analyses")
    for name, columns, unique, where in (
        ("ix_analyses_due", ["next_attempt_at"], False, "state = 'queued' AND batch_id IS NULL"),
        ("uq_analyses_item", ["batch_id", "position"], True, "batch_id IS NOT NULL"),
        (
            "ix_analyses_open",
            ["batch_id", "state", "position"],
            False,
            "state IN ('queued', 'running') AND batch_id IS NOT NULL",
        ),
        ("ix_analyses_rung", ["rung_at"], False, "state = 'queued' AND rung_at IS NOT NULL"),
        (
            "ix_analyses_finished",
            ["batch_id", "finish_xid", "position"],
            False,
            "finish_xid IS NOT NULL AND batch_id IS NOT NULL",
        ),
    ):
        op.create_index(name, "analyses", columns, unique=unique, postgresql_where=sa.text(where))


def downgrade() -> None:
    op.drop_index("ix_files_expiry", table_name="files")
    op.drop_index("ix_calls_open", table_name="calls")
    op.drop_constraint(op.f("fk_analyses_batch_id"), "analyses", type_="foreignkey")
    for index in (
        "ix_analyses_finished",
        "ix_analyses_rung",
        "ix_analyses_open",
        "uq_analyses_item",
        "ix_analyses_due",
    ):
        op.drop_index(index, table_name="analyses")
    for column in ("finish_xid", "custom_id", "position", "batch_id"):
        op.drop_column("analyses", column)
    op.create_index(
        "ix_analyses_due", "analyses", ["next_attempt_at"], postgresql_where=sa.text("state = 'queued'")
    )
    op.drop_table("batches")
    op.drop_table("dispatch")
