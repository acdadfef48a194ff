"""A group of commands, one of which is meant where none is named."""

from __future__ import annotations

from typing import Any

import click


class DefaultGroup(click.Group):
    """`group x` is short for `group default x` where x names no command; the help shows both."""

    def __init__(self, *args: Any, default: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.default = default

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default command's name before what is none."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options of the default command, then all commands."""
        self.commands[self.default].format_options(ctx, formatter)
        self.format_commands(ctx, formatter)
