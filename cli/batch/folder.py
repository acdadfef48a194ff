"""The images in a folder, as rows: each is an item, known by its path in the folder."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from cli.batch.rows import Row
from cli.failure import Failure
from cli.images import EXTENSIONS

LONGEST_ID = 128
"""Characters of a custom_id (core/models/analysis.py, which only a server can import)."""


def folder_rows(folder: Path) -> Iterator[Row]:
    """The images of a folder and of those in it, sorted. Raises Failure."""
    for name in sorted(_names(folder)):
        yield Row(
            name,
            lambda ids, name=name: json.dumps({"custom_id": name, "image": ids[name]}),  # type: ignore[misc]
            (name,),
            _problem(name),
        )


def _names(folder: Path) -> Iterator[str]:
    """Paths in the folder. Links to files are followed; links to folders are not, so there is no loop."""
    for here, folders, files in os.walk(folder, onerror=_unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in EXTENSIONS:
                yield Path(here, name).relative_to(folder).as_posix()


def _unreadable(problem: OSError) -> None:
    raise Failure(f"{problem.filename} cannot be read: {problem.strerror}.") from problem


def _problem(name: str) -> str | None:
    """Why a path cannot be an item's custom_id."""
    if len(name) > LONGEST_ID:
        return f"its path has {len(name)} characters, of which an item's id may have {LONGEST_ID}"
    try:
        name.encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    return None
