"""Budgets, and what the books need to be grouped by preset and batch, and compared with an endpoint's."""

import sqlalchemy as sa
from alembic import op

revision = "0005_budgets"
down_revision = "0004_retention"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "budgets",
        sa.Column("owner_id", sa.String(length=40, collation="C"), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("most", sa.Numeric(precision=24, scale=10), nullable=False),
        sa.Column("used", sa.Numeric(precision=24, scale=10), server_default="0", nullable=False),
        sa.Column("period", sa.Date(), server_default="0001-01-01", nullable=False),
        sa.CheckConstraint(
            "kind IN ('monthly_usd', 'daily_tokens', 'max_cost')", name=op.f("ck_budgets_kind")
        ),
        sa.PrimaryKeyConstraint("owner_id", "kind", name=op.f("pk_budgets")),
    )
    op.add_column("batches", sa.Column("needed_cost", sa.Numeric(precision=18, scale=10), nullable=True))
    op.add_column("batches", sa.Column("needed_tokens", sa.Integer(), nullable=True))
    op.add_column("calls", sa.Column("preset", sa.String(length=100), nullable=True))
    op.add_column("calls", sa.Column("batch_id", sa.String(length=40, collation="C"), nullable=True))
    op.add_column("calls", sa.Column("request_id", sa.String(length=128), nullable=True))
    op.add_column("calls", sa.Column("reserved_tokens", sa.Integer(), nullable=True))
    op.execute(
        "UPDATE calls SET preset = analyses.preset, batch_id = analyses.batch_id,"
        " request_id = analyses.request_id"
        " FROM analyses WHERE analyses.id = calls.analysis_id"
    )


def downgrade() -> None:
    for name in ("reserved_tokens", "request_id", "batch_id", "preset"):
        op.drop_column("calls", name)
    for name in ("needed_tokens", "needed_cost"):
        op.drop_column("batches", name)
    op.drop_table("budgets")
