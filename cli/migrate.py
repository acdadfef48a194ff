"""vitrine migrate: bring the database to the newest version."""

from __future__ import annotations

from pathlib import Path

import click
from alembic import command
from alembic.config import Config
from sqlalchemy.exc import OperationalError

from cli.operator import settings
from core.errors import Unavailable

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"


@click.command()
def migrate() -> None:
    """Bring the database to the newest version; safe to run again, and by several at once."""
    settings()
    config = Config()
    config.set_main_option(
        "script_location", str(MIGRATIONS).replace("%", "%%")
    )  # Alembic reads it as a format
    try:
        command.upgrade(config, "head")
    except OperationalError as error:
        raise Unavailable("The database in DATABASE_URL does not answer.") from error
    click.echo("The database is at the newest version.")
