"""Conversations: sessions, and their messages."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013_sessions"
down_revision = "0012_streams"
branch_labels = None
depends_on = None

ID = sa.String(length=40, collation="C")
NOW = sa.text("now()")


def upgrade() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("system", sa.Text(), nullable=True),
        sa.Column("images", sa.String(length=10), nullable=False),
        sa.Column("metadata", postgresql.JSONB(), nullable=False),
        sa.Column("last_sequence", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_sessions_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_account_id_id"), "sessions", ["account_id", "id"])
    op.create_index(
        "ix_sessions_used", "sessions", ["last_used_at"], postgresql_where=sa.text("deleted_at IS NULL")
    )
    op.create_index(
        "ix_sessions_deleted", "sessions", ["id"], postgresql_where=sa.text("deleted_at IS NOT NULL")
    )
    op.create_table(
        "messages",
        sa.Column("id", ID, nullable=False),
        sa.Column("session_id", ID, nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("analysis_id", ID, nullable=False),
        sa.Column("role", sa.String(length=10), nullable=False),
        sa.Column("content", sa.Text(), nullable=True),
        sa.Column("tool_call_id", sa.String(length=200), nullable=True),
        sa.Column("first_image", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name=op.f("fk_messages_session_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["analysis_id"], ["analyses.id"], name=op.f("fk_messages_analysis_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
    )
    op.create_index("uq_messages_sequence", "messages", ["session_id", "sequence"], unique=True)
    op.create_index(op.f("ix_messages_analysis_id"), "messages", ["analysis_id"])


def downgrade() -> None:
    op.drop_table("messages")
    op.drop_table("sessions")
