"""The images in a folder, as rows: each an item known by its path, or a view of the SKU that this tells."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from cli.batch.rows import Row
from cli.failure import Failure
from cli.images import EXTENSIONS
from core import views
from core.errors import InvalidRequest
from core.views import Shown

NOT_UTF8 = "its name is not UTF-8"
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


def grouped_rows(folder: Path, by: str) -> Iterator[Row]:
    """The same as views of products: by SKU, of each the main view first. Raises Failure."""
    names = sorted(_names(folder))
    told = {name: _told(name, by) for name in names}
    known = [(view, name) for name, view in told.items() if isinstance(view, Shown)]
    for name, why in told.items():
        if not isinstance(why, Shown):
            yield Row(name, lambda _: "", (name,), why)
    for view, name in sorted(known, key=lambda pair: views.order(pair[0])):
        row = view._asdict()
        yield Row(
            name,
            lambda ids, name=name, row=row: json.dumps({**row, "image": ids[name]}),  # type: ignore[misc]
            (name,),
        )


def _told(name: str, by: str) -> Shown | str:
    """What a path says of its image, or why it says nothing."""
    try:
        name.encode()
        return views.shown(name, by)
    except UnicodeEncodeError:
        return NOT_UTF8
    except InvalidRequest:
        return "it lies in no folder that is called like its SKU"


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
        return NOT_UTF8
    return None
