"""vitrine taxonomies: the shop's own categories, into which products are sorted."""

from __future__ import annotations

import re
from pathlib import Path

import click

from cli import wording
from cli.registries.client import client_of, table
from cli.registries.showing import show, telling_bad_lines
from cli.server import Server, asks_server

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)


def _checked(_: click.Context, __: click.Parameter, value: str) -> str:
    if not NAME.fullmatch(value):
        raise click.UsageError("A NAME has 1 to 64 small letters, digits, _ and -.")
    return value


name_of_one = click.argument("name", callback=_checked)


@click.group()
def taxonomies() -> None:
    """Teach the server the shop's own categories; the preset classify answers with one of them.

    \b
    Examples:
      vitrine taxonomies import shop categories.csv
      vitrine ask mug.jpg --preset classify --option taxonomy=shop
    """  # noqa: D301 - click wants the character


@taxonomies.command("import")
@name_of_one
@table
@asks_server
def import_csv(name: str, path: Path, *, server: Server) -> None:
    """Store the tree of a CSV file as NAME, in the place of one that is there.

    Its first line names the columns id, label and parent, which is empty at the top.
    """
    with telling_bad_lines():
        size = client_of(server).import_csv("/taxonomies", path, name=name)["size"]
    click.echo(f"{name} has {size:,} {'category' if size == 1 else 'categories'}.")


@taxonomies.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one taxonomy per line as JSON.")
@asks_server
def listing(*, server: Server, as_json: bool) -> None:
    """List taxonomies, with how many categories each has."""
    found = client_of(server).taxonomies()
    show(found, ("name", "size"), as_json=as_json, otherwise="There are no taxonomies.")


@taxonomies.command("show")
@name_of_one
@click.option("--json", "as_json", is_flag=True, help="Print the whole taxonomy as JSON.")
@asks_server
def show_one(name: str, *, server: Server, as_json: bool) -> None:
    """Show the categories of a taxonomy."""
    found = client_of(server).taxonomy(name)
    if as_json:
        click.echo(wording.as_json(found, indent=2))
    else:
        show(found["nodes"], ("id", "label", "parent"), as_json=False, otherwise="It has none.")


@taxonomies.command()
@name_of_one
@asks_server
def delete(name: str, *, server: Server) -> None:
    """Forget a taxonomy."""
    client_of(server).delete(f"/taxonomies/{name}")
    click.echo(f"{name} is deleted.")
