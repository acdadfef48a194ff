"""What the tests of the OpenAI face share: the SDK as it is, pointed at the live system."""

import pytest
from openai import OpenAI

from core.ids import new_id
from core.services import keys


@pytest.fixture
def new_sdk(live):
    """Make SDK clients, each of an account of its own."""
    opened = []

    def make(**options):
        options = {"account": new_id("shop"), "name": "test", "unlimited": True, **options}
        secret = keys.create(live.desk, **options).secret
        opened.append(OpenAI(base_url=f"{live.url}/v1", api_key=secret, max_retries=0, timeout=60))
        return opened[-1]

    yield make
    for client in opened:
        client.close()


@pytest.fixture
def sdk(new_sdk):
    return new_sdk()
