"""The spine: accounts and keys, files, analyses, the books, workers."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.String(length=40, collation="C"), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("name", name=op.f("uq_accounts_name")),
    )
    op.create_table(
        "blobs",
        sa.Column("digest", sa.String(length=64, collation="C"), nullable=False),
        sa.Column("byte_size", sa.BigInteger(), nullable=False),
        sa.Column("touched_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_blobs")),
    )
    op.create_index(op.f("ix_blobs_touched_at"), "blobs", ["touched_at"], unique=False)
    op.create_table(
        "calls",
        sa.Column("id", sa.String(length=40, collation="C"), nullable=False),
        sa.Column("analysis_id", sa.String(length=40, collation="C"), nullable=False),
        sa.Column("account_id", sa.String(length=40, collation="C"), nullable=False),
        sa.Column("key_id", sa.String(length=40, collation="C"), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reserved_cost", sa.Numeric(precision=18, scale=10), nullable=True),
        sa.Column("upstream_id", sa.String(length=200), nullable=True),
        sa.Column("error_code", sa.String(length=60), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("prompt_tokens", sa.Integer(), nullable=True),
        sa.Column("completion_tokens", sa.Integer(), nullable=True),
        sa.Column("cached_tokens", sa.Integer(), nullable=True),
        sa.Column("image_tokens", sa.Integer(), nullable=True),
        sa.Column("reasoning_tokens", sa.Integer(), nullable=True),
        sa.Column("prompt_cost", sa.Numeric(precision=18, scale=10), nullable=True),
        sa.Column("completion_cost", sa.Numeric(precision=18, scale=10), nullable=True),
        sa.CheckConstraint(
            "state IN ('reserved', 'settled', 'refused', 'unknown')", name=op.f("ck_calls_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calls")),
    )
    op.create_index(
        op.f("ix_calls_account_id_created_at"), "calls", ["account_id", "created_at"], unique=False
    )
    op.create_index(op.f("ix_calls_analysis_id"), "calls", ["analysis_id"], unique=False)
    op.create_table(
        "workers",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("endpoint", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_workers")),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(length=40, collation="C"), nullable=False),
        sa.Column("account_id", sa.String(length=40, collation="C"), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("prefix", sa.String(length=16, collation="C"), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.String(length=40)), nullable=False),
        sa.Column("unlimited", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_api_keys_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("prefix", name=op.f("uq_api_keys_prefix")),
    )
    op.create_index(op.f("ix_api_keys_account_id"), "api_keys", ["account_id"], unique=False)
    op.create_table(
        "files",
        sa.Column("id", sa.String(length=40, collation="C"), nullable=False),
        sa.Column("account_id", sa.String(length=40, collation="C"), nullable=False),
        sa.Column("digest", sa.String(length=64, collation="C"), nullable=False),
        sa.Column("byte_size", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.String(length=100), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("purpose", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_files_account_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["digest"], ["blobs.digest"], name=op.f("fk_files_digest")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_files")),
    )
    op.create_index(op.f("ix_files_account_id_id"), "files", ["account_id", "id"], unique=False)
    op.create_index(op.f("ix_files_digest"), "files", ["digest"], unique=False)
    op.create_table(
        "analyses",
        sa.Column("id", sa.String(length=40, collation="C"), nullable=False),
        sa.Column("account_id", sa.String(length=40, collation="C"), nullable=False),
        sa.Column("key_id", sa.String(length=40, collation="C"), nullable=False),
        sa.Column("request_id", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("preset", sa.String(length=100), nullable=False),
        sa.Column("preset_version", sa.Integer(), nullable=False),
        sa.Column("question", sa.Text(), nullable=True),
        sa.Column("context", sa.Text(), nullable=True),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("max_tokens", sa.Integer(), nullable=False),
        sa.Column("temperature", sa.Double(), nullable=False),
        sa.Column("detail", sa.String(length=10), nullable=False),
        sa.Column("metadata", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "next_attempt_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("rung_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("worker", sa.String(length=200), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fence", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("lease_expiries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("data", postgresql.JSON(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("confidence", sa.Double(), nullable=True),
        sa.Column("finish_reason", sa.String(length=40), nullable=True),
        sa.Column("error_code", sa.String(length=60), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("prompt_tokens", sa.Integer(), nullable=True),
        sa.Column("completion_tokens", sa.Integer(), nullable=True),
        sa.Column("cached_tokens", sa.Integer(), nullable=True),
        sa.Column("image_tokens", sa.Integer(), nullable=True),
        sa.Column("reasoning_tokens", sa.Integer(), nullable=True),
        sa.Column("prompt_cost", sa.Numeric(precision=18, scale=10), nullable=True),
        sa.Column("completion_cost", sa.Numeric(precision=18, scale=10), nullable=True),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'completed', 'failed', 'cancelled', 'expired')",
            name=op.f("ck_analyses_state"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_analyses_account_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["key_id"], ["api_keys.id"], name=op.f("fk_analyses_key_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_analyses")),
    )
    op.create_index(op.f("ix_analyses_account_id_id"), "analyses", ["account_id", "id"], unique=False)
    op.create_index(
        "ix_analyses_deadline",
        "analyses",
        ["deadline_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    )
    op.create_index(
        "ix_analyses_due",
        "analyses",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index(
        "ix_analyses_leased",
        "analyses",
        ["lease_until"],
        unique=False,
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_table(
        "analysis_images",
        sa.Column("analysis_id", sa.String(length=40, collation="C"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("file_id", sa.String(length=40, collation="C"), nullable=False),
        sa.Column("report", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.ForeignKeyConstraint(
            ["analysis_id"], ["analyses.id"], name=op.f("fk_analysis_images_analysis_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["file_id"], ["files.id"], name=op.f("fk_analysis_images_file_id")),
        sa.PrimaryKeyConstraint("analysis_id", "position", name=op.f("pk_analysis_images")),
    )
    op.create_index(op.f("ix_analysis_images_file_id"), "analysis_images", ["file_id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_analysis_images_file_id"), table_name="analysis_images")
    op.drop_table("analysis_images")
    op.drop_index("ix_analyses_leased", table_name="analyses", postgresql_where=sa.text("state = 'running'"))
    op.drop_index("ix_analyses_due", table_name="analyses", postgresql_where=sa.text("state = 'queued'"))
    op.drop_index(
        "ix_analyses_deadline",
        table_name="analyses",
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    )
    op.drop_index(op.f("ix_analyses_account_id_id"), table_name="analyses")
    op.drop_table("analyses")
    op.drop_index(op.f("ix_files_digest"), table_name="files")
    op.drop_index(op.f("ix_files_account_id_id"), table_name="files")
    op.drop_table("files")
    op.drop_index(op.f("ix_api_keys_account_id"), table_name="api_keys")
    op.drop_table("api_keys")
    op.drop_table("workers")
    op.drop_index(op.f("ix_calls_analysis_id"), table_name="calls")
    op.drop_index(op.f("ix_calls_account_id_created_at"), table_name="calls")
    op.drop_table("calls")
    op.drop_index(op.f("ix_blobs_touched_at"), table_name="blobs")
    op.drop_table("blobs")
    op.drop_table("accounts")
