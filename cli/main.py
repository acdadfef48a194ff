"""The `vitrine` command."""

from __future__ import annotations

import contextlib
import os
import sys

import click

from cli.failure import Failure
from cli.lazy import Lazy, LazyGroup
from core.errors import VitrineError

INTERRUPTED = 130
SECTIONS = {
    "Commands": {
        "ask": Lazy("cli.ask:ask", "Ask one question about one or more images."),
        "product": Lazy("cli.product:product", "Describe product photos as a table, CSV or JSON."),
        "batch": Lazy("cli.batch.commands:batch", "Run a folder, or a list of images, as one batch."),
        "chat": Lazy("cli.chat.commands:chat", "Talk with a model; answers are printed as they are made."),
        "estimate": Lazy("cli.estimate:estimate", "Estimate tokens, cost and time, and run nothing."),
        "similar": Lazy("cli.similar:similar", "Find the images that look most like an IMAGE."),
        "duplicates": Lazy("cli.duplicates:duplicates", "Find images in a FOLDER that show the same."),
        "show": Lazy("cli.show:show", "Show one analysis."),
        "list": Lazy("cli.show:listing", "List analyses, the newest first."),
        "usage": Lazy("cli.usage:usage", "Show what was used, what it cost, and what was saved."),
        "presets": Lazy(
            "cli.registries.presets:presets", "Look at presets, make your own, and try them for nothing."
        ),
        "brands": Lazy("cli.registries.brands:brands", "Teach the server the brands that the shop knows."),
        "taxonomies": Lazy(
            "cli.registries.taxonomies:taxonomies", "Teach the server the shop's own categories."
        ),
        "webhooks": Lazy(
            "cli.webhooks.commands:webhooks", "Make and look after webhooks, and follow events live."
        ),
    },
    "Operator's commands": {
        "keys": Lazy("cli.keys:keys", "Make, list, limit and revoke API keys."),
        "audit": Lazy("cli.audit:audit", "Compare the books with items, budgets and the endpoint."),
        "index": Lazy("cli.index:index", "Look after the index that similar images are found by."),
        "migrate": Lazy("cli.migrate:migrate", "Bring the database to the newest version."),
    },
}


@click.group(cls=LazyGroup, sections=SECTIONS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="vitrine")
@click.option(
    "--home",
    envvar="VITRINE_HOME",
    metavar="FOLDER",
    show_envvar=True,
    help="Home of a local stack, in place of .vitrine here or in a folder above.",
)
def vitrine(home: str | None) -> None:
    """Vitrine: product photos in, priced and dependable answers out.

    \b
    Examples:
      vitrine ask mug.jpg "What colour is it?"
      vitrine product photos/ --csv > catalogue.csv

    The commands ask the server that VITRINE_URL names, with the key in VITRINE_API_KEY; without these,
    the local stack that `python3 dev up` runs. Operator's commands read the same environment (and .env)
    as the server; without a DATABASE_URL, they too turn to the local stack.
    """  # noqa: D301 - click wants the character


def main() -> None:
    """Run the command; what goes wrong is one sentence, not a traceback."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # a stream that a caller put in its place
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.exit(run())


def run() -> int:
    """Run the command; gives its exit status."""
    try:
        status = vitrine(standalone_mode=False)
        sys.stdout.flush()
    except (click.exceptions.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except VitrineError as error:
        Failure(str(error)).show()
        return Failure.exit_code
    except BrokenPipeError:
        # Whoever read the output has enough; without this, Python would complain as it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status if isinstance(status, int) else 0
