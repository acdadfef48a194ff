"""Webhooks in this process: receivers on loopback, and accounts whose items end by hand."""

import dataclasses

import pytest
from receiver import Receiver
from told_shop import HERE, SCHEDULE, Told


@pytest.fixture(scope="session")
def hooked_desk(desk):
    """The desk of a server that may send to this machine, and gives up soon."""
    settings = dataclasses.replace(desk.settings, **HERE, webhook_timeout=3.0, webhook_schedule=SCHEDULE)
    return dataclasses.replace(desk, settings=settings)


@pytest.fixture
def new_shop(hooked_desk):
    return lambda **spending: Told(hooked_desk, **spending)


@pytest.fixture
def shop(new_shop):
    return new_shop()


@pytest.fixture
def make_receiver():
    made = []

    def make():
        made.append(Receiver())
        return made[-1]

    yield make
    for receiver in made:
        receiver.stop()


@pytest.fixture
def receiver(make_receiver):
    return make_receiver()
