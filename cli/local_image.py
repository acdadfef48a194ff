"""An image that a folder or a list names, looked at before anything of it is sent."""

from __future__ import annotations

import stat
from pathlib import Path

from cli.local_file import LocalFile
from core.media import HEAD, ImageKind, recognise


class Bad(Exception):
    """A file that is no image; the message says what is wrong with it, after its name."""


def local_image(base: Path, name: str) -> LocalFile:
    """The image of this name, which begins at a base. Raises Bad.

    Whatever is no regular file is not opened: a named pipe would wait for a writer.
    """
    path = base / name
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise Bad("a folder" if stat.S_ISDIR(about.st_mode) else "not a file with content")
        with path.open("rb") as file:
            looks = recognise(file.read(HEAD))
    except FileNotFoundError:
        raise Bad("there is no such file") from None
    except (OSError, ValueError) as problem:
        raise Bad(f"cannot be read: {getattr(problem, 'strerror', problem)}") from None
    if not isinstance(looks, ImageKind):
        raise Bad(f"it is {looks}, not an image")
    return LocalFile(name, path.name, about.st_size, path)
