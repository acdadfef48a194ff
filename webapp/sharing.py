"""The folder in which the web processes share what they count; for gunicorn.conf.py, which makes and ends it.

The process that minds them must not import prometheus_client before PROMETHEUS_MULTIPROC_DIR is set: it would
decide, for all that are forked later, that each counts for itself.
"""

from __future__ import annotations

import functools
import shutil
import sys
import tempfile
from pathlib import Path

SHARED_MEMORY = "/dev/shm" if sys.platform == "linux" else None  # noqa: S108  (what is made in it is private)
"""No disk: writing to a mapped file ends the process when that is full."""


@functools.cache
def private_folder() -> Path:
    """A folder of our own, the same however often gunicorn reads its settings again."""
    return Path(tempfile.mkdtemp(prefix="vitrine-metrics-", dir=SHARED_MEMORY))


def forget(folder: Path, pid: int) -> None:
    """Forget how things stand in a process that ended; what it counted stays."""
    for file in folder.glob(f"gauge_live*_{pid}.db"):
        file.unlink(missing_ok=True)


def remove_private_folder() -> None:
    """Take it away, if it was made."""
    if private_folder.cache_info().currsize:
        shutil.rmtree(private_folder(), ignore_errors=True)
