"""What goes wrong, as one sentence on standard error."""

from __future__ import annotations

from typing import IO, Any

import click

from cli.wording import printable


class Failure(click.ClickException):
    """The command cannot do what it was asked to; exit status 1."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Say it."""
        click.echo(f"vitrine: {printable(self.message)}", err=file is None, file=file)


class Unreachable(Failure):
    """The server does not answer, so nothing else would succeed either."""


class Interrupted(Failure):
    """Ctrl-C came before anything was sent."""

    exit_code = 130
