"""Waiting for what is to happen, on a machine however slow."""

import time

PATIENCE = 300
"""Seconds. Only a test that fails waits for so long, so there is no need to be near."""


def wait_until(look, seconds=PATIENCE, every=0.05):
    """What `look` finds, as soon as it is something."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(every)
    return found
