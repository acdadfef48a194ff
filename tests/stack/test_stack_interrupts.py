"""An interrupt ends a start, also one that Python dropped because a finalizer ran just then."""

import os
import signal
import weakref

import pytest

from local import interrupts


class Thing:
    pass


@pytest.fixture(autouse=True)
def handlers():
    before = {number: signal.getsignal(number) for number in interrupts.SIGNALS}
    interrupts.listen()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    interrupts._seen.clear()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_that_got_lost_in_a_finalizer_comes_up_again():
    thing = Thing()
    weakref.finalize(thing, lambda: os.kill(os.getpid(), signal.SIGINT))
    del thing
    with pytest.raises(KeyboardInterrupt):
        interrupts.check()


def test_without_an_interrupt_there_is_nothing_to_check():
    interrupts.check()
