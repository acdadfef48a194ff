"""What a shop teaches a server, over HTTP: its brands, taxonomies and presets; and what it used."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from cli.connection import Connection
from cli.failure import Failure
from cli.interrupt import Interrupt
from cli.local_file import LocalFile
from cli.multipart import Upload
from cli.server import Server
from cli.terminal import Screen

Brand = dict[str, Any]
Taxonomy = dict[str, Any]
Preset = dict[str, Any]
PAGE = 100

table = click.argument("path", metavar="FILE.csv", type=click.Path(path_type=Path))
"""The argument of an import."""


class RegistryClient(Connection):
    """The brands, taxonomies, presets and books of a server's account."""

    def import_csv(self, place: str, path: Path, **fields: str) -> dict[str, Any]:
        """Send a table once, even when the connection breaks. Raises Failure, Refused, Unreachable."""
        body = Upload(fields, [_local(path)], self.interrupt)
        headers = {"Content-Type": body.content_type, "Idempotency-Key": f"cli-{uuid.uuid4().hex}"}
        return self._ask_again("POST", place, words="Sending again", data=body, headers=headers).body

    def add_brand(self, name: str, aliases: list[str]) -> Brand:
        """Add a brand, or change the one of this name."""
        return self._ask("POST", "/brands", json={"name": name, "aliases": aliases}).body

    def brands(self) -> Iterator[Brand]:
        """Every brand, the oldest first, page by page."""
        query: dict[str, Any] = {"limit": PAGE}
        while True:
            page = self._ask("GET", "/brands", params=query).body
            yield from page["data"]
            if not page["has_more"]:
                return
            query["cursor"] = page["next_cursor"]

    def taxonomies(self) -> list[Taxonomy]:
        """Every taxonomy, without its categories."""
        found: list[Taxonomy] = self._ask("GET", "/taxonomies").body["data"]
        return found

    def taxonomy(self, name: str) -> Taxonomy:
        """A taxonomy with its categories."""
        return self._ask("GET", f"/taxonomies/{name}").body

    def presets(self) -> list[Preset]:
        """Every preset that a submission may name."""
        found: list[Preset] = self._ask("GET", "/presets").body["data"]
        return found

    def preset(self, name: str, version: int | None) -> Preset:
        """A preset in a version, by default the newest."""
        return self._ask("GET", f"/presets/{name}", params={"version": version}).body

    def create_preset(self, pack: Preset) -> Preset:
        """Store a preset, or its next version."""
        return self._ask("POST", "/presets", json=pack).body

    def try_preset(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        """What a preset would send."""
        return self._ask("POST", f"/presets/{name}/try", json=body).body

    def usage(self, query: dict[str, Any]) -> dict[str, Any]:
        """A page of what was used."""
        return self._ask("GET", "/usage", params=query).body

    def delete(self, place: str) -> None:
        """Forget one."""
        self._ask("DELETE", place)


def client_of(server: Server) -> RegistryClient:
    """The client of a server."""
    return RegistryClient(server, Interrupt(), Screen().note)


def _local(path: Path) -> LocalFile:
    try:
        if not path.is_file():
            raise click.UsageError(f"There is no file {path}.")
        return LocalFile(str(path), path.name, path.stat().st_size, path)
    except OSError as problem:
        raise Failure(f"{path} cannot be read: {problem.strerror}.") from problem
