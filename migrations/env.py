"""How Alembic reaches the database: through the settings, under a lock, in one transaction."""

from alembic import context
from sqlalchemy import create_engine, pool, text

from config import settings
from core.models import Base
from core.store.embedding_indexes import PREFIX

MIGRATION_LOCK = 7_246_001
"""An advisory lock of this number is held while migrating: two that start at once take turns."""


def run() -> None:
    """Bring the database to the newest version."""
    engine = create_engine(
        settings().database_url, poolclass=pool.NullPool, connect_args={"connect_timeout": 5}
    )
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            compare_server_default=True,
            compare_type=True,
            include_name=lambda name, *_: not (name or "").startswith(PREFIX),  # made while the system runs
        )
        with context.begin_transaction():
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            context.run_migrations()


run()
