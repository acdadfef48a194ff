"""Signals that end a stack, so that none gets lost.

Python drops an exception that comes up in a finalizer, and a KeyboardInterrupt comes up wherever the signal
happens to find us. Probing servers by HTTP runs many finalizers (urllib3's pools): of a hundred
interrupts during such probes two or three were lost. So it is remembered as well, and loops that wait ask.
"""

import signal
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_seen: list[int] = []


def listen() -> None:
    """Make these signals raise KeyboardInterrupt."""
    _seen.clear()
    for number in SIGNALS:
        signal.signal(number, _interrupt)


def check() -> None:
    """Raises KeyboardInterrupt if a signal came before now, also when it was raised then and lost."""
    if _seen:
        raise KeyboardInterrupt


def ignore() -> None:
    """From now on these signals do nothing."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    _seen.append(number)
    raise KeyboardInterrupt
