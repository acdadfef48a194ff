"""The fault bench, scaled down: the same scenarios as `python3 dev bench faults --quick`, on two systems."""

import pytest

from bench import _system as system
from bench import faults


@pytest.fixture(scope="module")
def steady():
    """A system with leases as long as they come."""
    with system.running(faults.WORKERS, **faults.ENVIRONMENT) as vitrine:
        yield vitrine


@pytest.fixture(scope="module")
def brief():
    """A system whose leases run out soon, for what would take minutes otherwise."""
    with system.running(faults.WORKERS, **faults.ENVIRONMENT, **faults.BRIEF) as vitrine:
        yield vitrine


@pytest.fixture
def kept():
    """Play a scenario, all of whose promises are to be kept."""

    def keep(vitrine, name):
        outcome = faults.SCENARIOS[name].quick(vitrine)
        assert outcome.broken == [], outcome

    return keep
