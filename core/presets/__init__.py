"""Presets: named, versioned packs of prompt, JSON Schema and image policy. All of them are data.

A pack is a folder `<name>/v<version>/` with prompt.md (the system prompt), preset.json (title, the question
asked when none is given, detail) and, for structured answers, schema.json. A landed version never changes:
its number is stored with every answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import InvalidRequest

PACKS = Path(__file__).parent
DEFAULT = "question"


@dataclass(frozen=True, slots=True)
class Preset:
    """One version of a preset."""

    name: str
    version: int
    title: str
    prompt: str
    question: str
    """Asked in the user's place when the submission has no question."""
    detail: str
    schema: dict[str, Any] | None

    @property
    def response_format(self) -> dict[str, Any] | None:
        """What the endpoint is asked to keep to, where the preset has a schema."""
        if self.schema is None:
            return None
        schema = {"name": self.name, "schema": self.schema, "strict": True}
        return {"type": "json_schema", "json_schema": schema}


class Presets:
    """The packs of a folder, every version kept."""

    def __init__(self, folder: Path = PACKS) -> None:
        packs = [_load(path) for path in sorted(folder.glob("*/v*/"))]
        self._by_version = {(preset.name, preset.version): preset for preset in packs}
        self._latest = {preset.name: preset for preset in sorted(packs, key=lambda preset: preset.version)}

    def latest(self, name: str | None) -> Preset:
        """The newest version of a preset, by default of the plain question. Raises InvalidRequest."""
        found = self._latest.get(name or DEFAULT)
        if found is None:
            known = ", ".join(sorted(self._latest))
            raise InvalidRequest(
                f"There is no preset {name!r}; there are: {known}.", details={"field": "preset"}
            )
        return found

    def __iter__(self) -> Iterator[Preset]:
        """The newest version of each, by name."""
        return iter(sorted(self._latest.values(), key=lambda preset: preset.name))

    def version(self, name: str, version: int) -> Preset:
        """The very version that a stored analysis names."""
        return self._by_version[name, version]


def _load(path: Path) -> Preset:
    about = json.loads((path / "preset.json").read_text())
    schema = path / "schema.json"
    return Preset(
        name=path.parent.name,
        version=int(path.name.removeprefix("v")),
        prompt=(path / "prompt.md").read_text().strip(),
        schema=json.loads(schema.read_text()) if schema.is_file() else None,
        **about,
    )
