"""What the operator's commands work with."""

from __future__ import annotations

import click

import config
from cli.failure import Failure
from cli.nearby import LocalStack, local_stack
from config import ConfigurationError, Settings
from core.desk import Desk


def desk() -> Desk:
    """The desk of this command."""
    return Desk.open(settings(), name="cli")


def settings() -> Settings:
    """The server's settings; where they name no database, those of the local stack that runs nearby.

    Raises Failure for an environment that will not do.
    """
    stack = local_stack()
    if stack is not None and config.stand_in(_variables(stack)):
        click.echo(f"vitrine: with the local stack in {stack.home}", err=True)
    try:
        return config.settings()
    except ConfigurationError as error:
        raise Failure(str(error)) from error


def _variables(stack: LocalStack) -> dict[str, str]:
    """A local stack's addresses as the variables of docs/configuration.md."""
    told = stack.addresses
    return {
        "DATABASE_URL": told.get("database_url", ""),
        "REDIS_URL": told.get("redis_url", ""),
        "STORAGE_URL": told.get("storage_url") or (stack.home.resolve() / "blobs").as_uri(),
        "OPENAI_BASE_URL": told.get("endpoint_url", ""),
        "OPENAI_API_KEY": "unknown",  # the stack keeps it to itself; nothing here asks the endpoint
    }
