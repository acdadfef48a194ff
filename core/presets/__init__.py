"""Presets: named, versioned packs of prompt, JSON Schema and image policy. All of them are data.

A built-in pack is a folder `<name>/v<version>/` with prompt.md (the system prompt), preset.json (title, the
question asked when none is given, detail and what else pack.schema.json has), for structured answers
schema.json, and for options options.json and variants.json. An account's own packs are rows, of the same
shape. A landed version never changes: its number is stored with every answer.
"""

from __future__ import annotations

import json
from pathlib import Path

from core.errors import InvalidRequest
from core.presets.packs import preset_of
from core.presets.preset import MEASURE, Preset

PACKS = Path(__file__).parent
DEFAULT = "question"

__all__ = ["Preset", "Presets"]


class Presets:
    """The packs of a folder: those that are built in, every version kept."""

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

    def __contains__(self, name: object) -> bool:
        """Whether there is a preset of that name."""
        return name in self._latest

    def names(self) -> list[str]:
        """The names that there are."""
        return sorted(self._latest)

    def measured(self) -> list[str]:
        """The names of those that are measured here, and ask nobody."""
        return [name for name in self.names() if self._latest[name].method == MEASURE]

    def versions(self, name: str) -> list[Preset]:
        """Every version of a preset, the newest first."""
        return sorted((each for each in self._by_version.values() if each.name == name), key=_newest_first)

    def version(self, name: str, version: int) -> Preset:
        """The very version that a stored analysis names."""
        return self._by_version[name, version]


def _load(path: Path) -> Preset:
    pack = json.loads((path / "preset.json").read_text())
    for name in ("schema", "options", "variants"):
        if (file := path / f"{name}.json").is_file():
            pack[name] = json.loads(file.read_text())
    pack["prompt"] = (path / "prompt.md").read_text().strip()
    return preset_of(path.parent.name, int(path.name.removeprefix("v")), pack)


def _newest_first(preset: Preset) -> int:
    return -preset.version
