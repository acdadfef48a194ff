"""A child that is told when its parent dies, so that kill -9 leaves no servers behind.

Only Linux can do this; elsewhere the next start finds and stops what was left.
"""

import ctypes
import signal
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def signal_on_parent_death(number: signal.Signals) -> Callable[[], None]:
    """A function for the child, to be called between fork and exec, that asks for this signal.

    The kernel means the thread that started the child, so start children from the main thread.
    """
    if sys.platform != "linux":
        return lambda: None
    prctl = ctypes.CDLL(None, use_errno=True).prctl  # looked up now: little is safe after a fork
    value = int(number)

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, value)

    return ask
