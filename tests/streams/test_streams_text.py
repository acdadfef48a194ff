"""Texts cut into pieces at random, and read on from random places."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from core.live_text import START, Part, Pieces, Place, storable

ANY = st.text(st.characters(), max_size=40)  # halves of pairs too
WHOLE = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def halved(text):
    """A text as JSON may bring it: characters beyond the first plane as two halves."""
    return "".join(
        chr(0xD800 + (ord(one) - 0x10000 >> 10)) + chr(0xDC00 + (ord(one) - 0x10000 & 0x3FF))
        if ord(one) > 0xFFFF
        else one
        for one in text
    )


def cut(text, places):
    bounds = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:end] for start, end in itertools.pairwise(bounds)]


@given(WHOLE, st.lists(st.integers(0, 200)))
def test_pieces_of_a_text_are_together_what_is_stored_of_it(text, places):
    pieces = Pieces()
    assert "".join(pieces.add(piece) for piece in cut(halved(text), places)) == storable(text)


@given(ANY, st.lists(st.integers(0, 200)))
def test_every_piece_of_whatever_comes_can_be_stored(text, places):
    pieces = Pieces()
    told = "".join(pieces.add(piece) for piece in cut(text, places))
    assert "\0" not in told
    assert told.encode().decode() == told


@given(WHOLE, st.lists(st.integers(0, 200)), st.integers(0, 200), st.integers(0, 200))
def test_parts_read_from_any_place_on_are_the_rest_of_the_text(text, places, begin, read):
    """From any place of a reader, in a log that was told anew from any place before it."""
    read %= len(text) + 1
    begin %= read + 1
    reader = START.behind(text[:read])
    told, at = "", START.behind(text[:begin])
    for piece in cut(text[begin:], places) or [""]:
        rest = Part(at, piece).rest(reader) or ""
        told, reader, at = told + rest, reader.behind(rest), at.behind(piece)
    assert told == text[read:]
    assert reader == START.behind(text)


@given(WHOLE, WHOLE)
def test_a_text_that_begins_otherwise_has_nothing_for_a_reader(read, other):
    rest = Part(START, other).rest(START.behind(read))
    assert rest == (other.removeprefix(read) if other.startswith(read) else None)


@given(st.integers(0, 10**12 - 1), st.integers(0, 2**32 - 1), ANY)
def test_a_place_is_read_as_it_was_written_and_nothing_else_is_one(offset, checksum, text):
    place = Place(offset, checksum)
    assert Place.read(str(place)) == place
    found = Place.read(text)
    assert found is None or str(found) == text
    assert Part(START, text.encode("utf-8", "replace").decode()).rest(place) is None or offset <= 160
