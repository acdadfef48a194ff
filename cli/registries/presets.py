"""vitrine presets: what a submission may ask for by name, and presets of one's own."""

from __future__ import annotations

import json
from typing import Any, TextIO

import click

from cli import asking, wording
from cli.registries.client import client_of
from cli.registries.showing import show
from cli.registries.taxonomies import name_of_one
from cli.server import Server, asks_server

READ_ONLY = ("object", "version", "built_in", "versions")
"""What the server says of a preset beside what it is made from."""


@click.group()
def presets() -> None:
    """Look at presets, make your own, and try them for nothing.

    \b
    Examples:
      vitrine presets show product --json > mine.json
      vitrine presets create mine.json --name my-product
      vitrine presets try describe --option languages=ko
    """  # noqa: D301 - click wants the character


@presets.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one preset per line as JSON.")
@asks_server
def listing(*, server: Server, as_json: bool) -> None:
    """List presets, each in its newest version."""
    found = client_of(server).presets()
    show(found, ("name", "version", "title"), as_json=as_json, otherwise="There are no presets.")


@presets.command("show")
@name_of_one
@click.option("--version", type=click.IntRange(1), metavar="N", help="An older one than the newest.")
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON, which `create` takes.")
@asks_server
def show_one(name: str, *, server: Server, version: int | None, as_json: bool) -> None:
    """Show a preset: its words, its schema and its options."""
    found = client_of(server).preset(name, version)
    click.echo(wording.as_json(found, indent=2) if as_json else _described(found))


@presets.command()
@click.argument("file", metavar="FILE.json", type=click.File(encoding="utf-8"))
@click.option("--name", metavar="NAME", help="In the place of the name in the file.")
@asks_server
def create(file: TextIO, *, server: Server, name: str | None) -> None:
    """Store a preset of your own from a JSON file, or the next version of one; - is standard input."""
    made = client_of(server).create_preset(_pack(file) | ({"name": name} if name else {}))
    click.echo(f"{made['name']} is there in version {made['version']}.")


@presets.command("try")
@name_of_one
@click.option("--question", metavar="TEXT", help="In the place of the preset's.")
@asking.trial_options
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON.")
@asks_server
def try_out(name: str, *, server: Server, as_json: bool, **said: Any) -> None:
    """Show what a preset would send, and the most that it can cost, without sending it."""
    body = {field: value for field, value in said.items() if value is not None}
    shown = client_of(server).try_preset(name, body)
    if as_json:
        click.echo(wording.as_json(shown, indent=2))
        return
    for message in shown["messages"]:
        click.echo(f"{message['role']}:\n{wording.printable(_text_of(message))}\n")
    calls = [call | {"cost": _money(call)} for call in shown["calls"]]
    show(calls, ("purpose", "model", "worst_tokens", "cost"), as_json=False, otherwise="It asks nobody.")
    if calls:
        click.echo(f"At worst {shown['worst_tokens']:,} tokens, {_money(shown)}; images come on top.")


@presets.command()
@name_of_one
@asks_server
def delete(name: str, *, server: Server) -> None:
    """Delete a preset of your own; analyses that name it keep it."""
    client_of(server).delete(f"/presets/{name}")
    click.echo(f"{name} is deleted.")


def _described(preset: dict[str, Any]) -> str:
    origin = "built in" if preset["built_in"] else "your own"
    parts = [f"{preset['name']}, version {preset['version']} ({origin}): {preset['title']}", preset["prompt"]]
    forms = (name for name in ("schema", "options") if preset[name])
    parts += [f"{name.capitalize()}:\n{wording.as_json(preset[name], indent=2)}" for name in forms]
    return "\n\n".join(map(wording.printable, parts))


def _pack(file: TextIO) -> dict[str, Any]:
    """The preset in a file, without what only the server says of it. Raises UsageError."""
    try:
        found = json.load(file)
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"{file.name} is no JSON.") from error
    if not isinstance(found, dict):
        raise click.UsageError(f"{file.name} holds no JSON object.")
    return {name: value for name, value in found.items() if name not in READ_ONLY}


def _text_of(message: dict[str, Any]) -> str:
    content = message["content"]
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "[an image]") for part in content)


def _money(worst: dict[str, Any]) -> str:
    return wording.amount(worst["worst_cost"], "USD")
