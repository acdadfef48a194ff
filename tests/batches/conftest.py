"""What the tests of batches share."""

import io

import pytest


@pytest.fixture
def key(new_key):
    """A key without a rate limit: these tests submit more often than a client may."""
    return new_key(unlimited=True)


@pytest.fixture
def file_id(client, photo):
    """A photo that the account has."""
    data = {"file": (io.BytesIO(photo("olive")), "p.jpg")}
    return client.post("/api/v1/files", data=data).json["id"]
