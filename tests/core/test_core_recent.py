"""Images that come again soon: prepared once, kept within bounds, and never longer than is said."""

import hashlib
from io import BytesIO
from types import SimpleNamespace

import pytest

from core.errors import Unavailable
from core.recent import Recent
from core.services.files import Upload, keep_bytes
from worker.images import Images
from worker.preparer import Preparer


class Clock:
    """Stands still unless told."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def recent(clock):
    return Recent(most=100, seconds=10, clock=clock)


def test_what_is_too_old_is_forgotten(recent, clock):
    recent.keep("a", 1, 40)
    clock.now = 9.9
    assert recent.get("a") == 1
    clock.now = 10
    assert recent.get("a") is None


def test_the_oldest_make_room_for_what_comes(recent, clock):
    for number, name in enumerate("abc"):
        clock.now = number
        recent.keep(name, name, 40)
    assert [recent.get(name) for name in "abc"] == [None, "b", "c"]
    recent.keep("b", "B", 60)  # counted once, and the newest now
    assert [recent.get(name) for name in "abc"] == [None, "B", "c"]
    recent.keep("d", "d", 40)
    assert [recent.get(name) for name in "bcd"] == ["B", None, "d"]


def test_what_is_larger_than_all_the_room_is_not_kept_and_takes_none_from_others(recent):
    recent.keep("a", 1, 100)
    recent.keep("huge", 2, 101)
    assert (recent.get("a"), recent.get("huge")) == (1, None)


def test_an_image_that_comes_again_is_not_prepared_again_unless_it_is_to_be_another_size(desk, photo):
    content = photo(size=(2_000, 1_500))
    upload = Upload(BytesIO(content), len(content), hashlib.sha256(content).hexdigest(), "p.jpg")
    keep_bytes(desk, [upload])

    def asked(detail):
        return SimpleNamespace(model="gpt-4.1-mini", detail=detail, max_image_tokens=None)

    with Preparer() as preparer:
        images = Images(desk, None, preparer, lambda: False)
        first = images.prepare_one(asked("low"), upload.digest)
    assert images.prepare_one(asked("low"), upload.digest) == first  # though nobody can prepare any more
    with pytest.raises(Unavailable):
        images.prepare_one(asked("high"), upload.digest)
