"""vitrine brands: the brands that the shop knows, which logos are matched with."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import click

from cli import wording
from cli.registries.client import client_of, table
from cli.registries.showing import show, telling_bad_lines
from cli.server import Server, asks_server


@click.group()
def brands() -> None:
    """Teach the server the brands that the shop knows; the preset logo names one of them.

    \b
    Examples:
      vitrine brands import brands.csv
      vitrine brands add Nike --alias 나이키 --alias ナイキ
      vitrine brands list --limit 1000 --json
    """  # noqa: D301 - click wants the character


@brands.command("import")
@table
@asks_server
def import_csv(path: Path, *, server: Server) -> None:
    """Add the brands of a CSV file, all of them or none.

    Its first line names the columns: name, and maybe aliases, which are separated by ; in a cell.
    """
    with telling_bad_lines():
        imported = client_of(server).import_csv("/brands/import", path)["imported"]
    click.echo(f"{wording.count(imported, 'brand')} added or changed.")


@brands.command()
@click.argument("name")
@click.option("--alias", "aliases", multiple=True, metavar="NAME", help="Another name; repeat for several.")
@asks_server
def add(name: str, *, server: Server, aliases: tuple[str, ...]) -> None:
    """Add a brand, or change the one of this name, whose aliases are then these."""
    click.echo(client_of(server).add_brand(name, list(aliases))["id"])


@brands.command("list")
@click.option(
    "--limit", type=click.IntRange(1), default=100, show_default=True, metavar="N", help="How many."
)
@click.option("--json", "as_json", is_flag=True, help="Print one brand per line as JSON.")
@asks_server
def listing(*, server: Server, limit: int, as_json: bool) -> None:
    """List brands, the oldest first."""
    found = islice(client_of(server).brands(), limit)
    show(found, ("id", "name", "aliases"), as_json=as_json, otherwise="There are no brands.")


@brands.command()
@click.argument("brand_id", metavar="ID")
@asks_server
def delete(brand_id: str, *, server: Server) -> None:
    """Forget a brand."""
    if not brand_id.startswith("brand_") or not brand_id.isascii() or not brand_id[6:].isalnum():
        raise click.UsageError("The id of a brand begins with brand_; `vitrine brands list` shows them.")
    client_of(server).delete(f"/brands/{brand_id}")
    click.echo(f"{brand_id} is deleted.")
