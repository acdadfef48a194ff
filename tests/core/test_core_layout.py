"""Layouts: being told soon is being told the same."""

import random

import pytest

from core.layout import CHANNELS, SIDE, Layout

SIZE = SIDE * SIDE * CHANNELS


def layout(dice, low=0, high=255):
    return Layout(bytes(dice.randint(low, high) for _ in range(SIZE)))


def around(dice, colours, by):
    return bytes(min(255, max(0, level + dice.randint(-by, by))) for level in colours)


@pytest.mark.parametrize("by", [0, 3, 10, 30, 80])
def test_what_is_told_soon_is_what_comparing_both_ways_tells(by):
    dice = random.Random(by)
    told = set()
    for _ in range(20):
        colours = bytes(dice.randint(60, 190) for _ in range(SIZE))
        one, other = Layout(colours), Layout(around(dice, colours, by))
        apart = one.strangeness(other)
        for most in (0.0, apart - 0.01, apart, apart + 0.01, 3.4):
            told.add(one.shows_same(other, most) == (apart <= most))
            told.add(one.shows_same(other, most) == other.shows_same(one, most))
    assert told == {True}


def test_levels_at_both_ends_are_compared_like_any_other():
    black, white = Layout(bytes(SIZE)), Layout(b"\xff" * SIZE)
    assert black.shows_same(black, 0)
    assert white.shows_same(white, 0)
    assert not black.shows_same(white, 254.9)
    assert black.shows_same(white, 255)
    assert black.strangeness(white) == 255


def test_what_is_strange_one_way_only_is_strange():
    dice = random.Random(1)
    busy, plain = layout(dice), Layout(b"\x80" * SIZE)
    assert not busy.shows_same(plain, 3.4)
    assert not plain.shows_same(busy, 3.4)
