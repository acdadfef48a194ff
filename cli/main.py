"""The `vitrine` command."""

from __future__ import annotations

import sys

import click

from cli.keys import keys
from cli.migrate import migrate
from config import ConfigurationError
from core.errors import VitrineError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="vitrine")
def vitrine() -> None:
    """Vitrine: product photos in, priced and dependable answers out.

    Operators' commands read the same environment (and .env) as the server.
    """


vitrine.add_command(keys)
vitrine.add_command(migrate)


def main() -> None:
    """Run the command; what goes wrong is one sentence, not a traceback."""
    try:
        vitrine(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (VitrineError, ConfigurationError) as error:
        click.echo(f"vitrine: {error}", err=True)
        sys.exit(1)
