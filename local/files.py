"""Small files that only their owner may read, and folders short enough for a socket's path."""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

# A socket's path may have 107 bytes, some of which are added below; the process manager takes none but
# plain characters in it.
SHORT_AND_PLAIN = re.compile(r"[A-Za-z0-9/._-]{1,60}")


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step, readable by its owner only."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_or_none(path: Path) -> str | None:
    """A small file's text without surrounding space; None if it is missing or empty."""
    try:
        return path.read_text().strip() or None
    except FileNotFoundError:
        return None


def make_short_folder() -> Path:
    """A new private folder whose path leaves room for a socket's name, however deep the home is."""
    parent = tempfile.gettempdir()
    if not SHORT_AND_PLAIN.fullmatch(parent):
        parent = "/tmp"  # noqa: S108 - the folder inside has a random name and is private
    folder = Path(tempfile.mkdtemp(prefix="vitrine-", dir=parent))
    if os.geteuid() == 0:
        folder.chmod(0o711)  # the user Postgres runs as must pass through, and sees no names
    return folder


@contextlib.contextmanager
def short_folder() -> Iterator[Path]:
    """A short private folder for the length of a block."""
    folder = make_short_folder()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
