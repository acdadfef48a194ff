"""Speaking to the person at the terminal."""

import contextlib


def say(line: str) -> None:
    """Print a line at once; a terminal that was closed is no reason not to go on."""
    with contextlib.suppress(OSError):
        print(line, flush=True)
