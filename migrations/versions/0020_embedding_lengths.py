"""How many embeddings of a model an account has, and how long they are, without reading them."""

from alembic import op

revision = "0020_embedding_lengths"
down_revision = "0019_lean_indexes"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        op.f("ix_image_embeddings_model_dimensions_account_id"),
        "image_embeddings",
        ["model", "dimensions", "account_id"],
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_image_embeddings_model_dimensions_account_id"), table_name="image_embeddings")
