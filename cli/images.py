"""Images named on the command line, looked at before anything is sent."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import click

from cli.local_file import LocalFile
from core.media import KINDS

STANDARD_INPUT = "-"
EXTENSIONS = frozenset(f".{extension}" for kind in KINDS for extension in kind.extensions)


def is_image(path: str) -> bool:
    """Whether an argument names something that may be an image rather than being a question."""
    try:
        return path == STANDARD_INPUT or Path(path).exists()
    except (OSError, ValueError):  # a question may be longer than any file name, or hold a NUL
        return False


def look_at(paths: Sequence[str]) -> list[LocalFile]:
    """The images of these paths, all of which must be files. Raises UsageError for the first that is not."""
    if paths.count(STANDARD_INPUT) > 1:
        raise click.UsageError("Standard input (-) can be read only once.")
    images = [_image(path) for path in paths]
    if (empty := next((image for image in images if not image.byte_size), None)) is not None:
        raise click.UsageError(f"{_name(empty.path)} is empty.")
    return images


def gather(paths: Sequence[str]) -> list[LocalFile]:
    """The images of files and folders, in this order, each folder's sorted by name. Raises UsageError.

    A file that is empty is let through, as is one of a folder that cannot be read: it fails alone, as any
    other that is no image does.
    """
    if paths.count(STANDARD_INPUT) > 1:
        raise click.UsageError("Standard input (-) can be read only once.")
    return [
        found
        for path in paths
        for found in (_inside(path) if path != STANDARD_INPUT and Path(path).is_dir() else [_image(path)])
    ]


def _inside(folder: str) -> list[LocalFile]:
    try:
        entries = sorted(Path(folder).iterdir())
    except OSError as problem:
        raise click.UsageError(f"{folder} cannot be read: {problem.strerror}.") from problem
    found = [
        LocalFile(str(entry), entry.name, _size(entry), entry)
        for entry in entries
        if entry.suffix.lower() in EXTENSIONS and not entry.name.startswith(".") and not os.path.isdir(entry)  # noqa: PTH112 - which raises nothing
    ]
    if not found:
        raise click.UsageError(f"There is no image file in the folder {folder}.")
    return found


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0


def _image(path: str) -> LocalFile:
    if path == STANDARD_INPUT:
        return _copied(path, sys.stdin.buffer)
    source = Path(path)
    try:
        about = source.stat()
        if stat.S_ISDIR(about.st_mode):
            raise click.UsageError(f"{path} is a folder; `vitrine product` takes folders.")
        with source.open("rb") as file:
            if not stat.S_ISREG(about.st_mode):
                return _copied(path, file)
    except FileNotFoundError as problem:
        raise click.UsageError(f"There is no file {path}.") from problem
    except (OSError, ValueError) as problem:
        raise click.UsageError(
            f"{path} cannot be read: {getattr(problem, 'strerror', problem)}."
        ) from problem
    return LocalFile(path, source.name, about.st_size, source)


def _copied(path: str, stream: BinaryIO) -> LocalFile:
    """What comes through a pipe, copied to disk: its length must be known before it is sent."""
    if stream.isatty():
        raise click.UsageError("Standard input (-) is this terminal: pipe an image into the command.")
    copy = click.get_current_context().with_resource(tempfile.NamedTemporaryFile(prefix="vitrine-"))  # noqa: SIM115
    shutil.copyfileobj(stream, copy)
    copy.flush()
    return LocalFile(path, "standard-input", copy.tell(), Path(copy.name))


def _name(path: str) -> str:
    return "Standard input" if path == STANDARD_INPUT else path
