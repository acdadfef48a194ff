"""What a decoder process does with memory between two pictures: it keeps some while there are more to come.

By itself glibc gives each large block back as soon as it is free, and the kernel fills the next one with
zeros, page by page: a third of the CPU of a WebP of 3 Mpx.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

KEPT = 64 * 1024 * 1024
"""Bytes that are kept at most; enough for all that pictures of about 4 Mpx take."""
_LARGEST_BLOCK = 32 * 1024 * 1024  # bytes of what is taken from there: mallopt(3) allows no more
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # <malloc.h>
_without_glibc = suppress(AttributeError, OSError)


def keep() -> None:
    """From now on."""
    with _without_glibc:
        libc = ctypes.CDLL(None)
        libc.mallopt(_TRIM_THRESHOLD, KEPT)
        libc.mallopt(_MMAP_THRESHOLD, _LARGEST_BLOCK)


def give_back() -> None:
    """All that is free at the moment."""
    with _without_glibc:
        ctypes.CDLL(None).malloc_trim(0)
