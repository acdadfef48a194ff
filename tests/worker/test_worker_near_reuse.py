"""Answers about a picture that shows the same, given again to who asks for that and to nobody else."""

import hashlib
import io

import pytest
from endpoint import completion
from PIL import Image, ImageDraw
from sqlalchemy import select

from core.errors import InvalidRequest
from core.models import Reuse
from core.services import analyses, indexing
from core.services.items import Items
from webapp import present
from webapp.openai_api.chat import read_image
from worker import features


def picture(color="#b02020"):
    image = Image.new("RGB", (600, 450), "#faf8f4")
    draw = ImageDraw.Draw(image)
    draw.rectangle((180, 90, 420, 380), fill=color)
    draw.ellipse((230, 140, 330, 260), fill="#204080")
    draw.polygon([(60, 400), (150, 300), (170, 430)], fill="#208050")
    return image


def encoded(image, quality=90):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


ORIGINAL, WORSE, OTHER = encoded(picture()), encoded(picture(), 40), encoded(picture("#2020b0"))


@pytest.fixture
def told(script):
    for number in range(5):
        script.say(completion(f"Answer {number}.", prompt_tokens=1000, completion_tokens=100))
    return script


@pytest.fixture
def first(shop, told):
    """An answered question about the original, which is in the index."""
    found = shop.ask(content=ORIGINAL)
    for content in (ORIGINAL, WORSE, OTHER):
        with Image.open(io.BytesIO(content)) as image:
            measured = features.measure(image.convert("RGB"))
        indexing.keep(shop.desk, {hashlib.sha256(content).hexdigest(): measured})
    return found


def test_who_wants_it_gets_the_answer_about_a_worse_copy_of_the_picture_for_nothing(shop, first, told):
    again = shop.ask(content=WORSE, reuse="near")
    assert (again.state, again.answer) == ("completed", "Answer 0.")
    assert (again.prompt_cost, again.completion_cost, len(told.calls)) == (0, 0, 1)
    shown = present.analysis(again)
    assert shown["reused_from"]["id"] == shown["cached_from"] == first.id
    assert 0 <= shown["reused_from"]["distance"] <= 24
    with shop.desk.database.transaction() as session:
        [entry] = session.scalars(select(Reuse).where(Reuse.account_id == shop.key.account_id))
    assert entry.source_id == first.id


def test_nobody_gets_it_unasked(shop, first, told):
    again = shop.ask(content=WORSE)
    assert (again.answer, again.reused_distance) == ("Answer 1.", None)


@pytest.mark.parametrize(
    "other",
    [
        {"question": "Is it new?"},
        {"context": "A mug."},
        {"detail": "low"},
        {"temperature": 1.0},
        {"cache": "off"},
        {"cache": "refresh"},
    ],
    ids=lambda other: next(iter(other)) + str(next(iter(other.values()))),
)
def test_another_question_or_a_refusal_of_earlier_answers_is_asked(shop, first, told, other):
    assert shop.ask(content=WORSE, reuse="near", **other).answer == "Answer 1."


def test_another_colour_of_the_product_is_asked_about(shop, first, told):
    assert shop.ask(content=OTHER, reuse="near").answer == "Answer 1."


def test_another_accounts_answer_is_never_given(shop, first, told, new_key):
    shop.key = new_key().key
    assert shop.ask(content=WORSE, reuse="near").answer == "Answer 1."


def test_what_was_given_again_is_no_source_of_its_own(shop, first, told):
    shop.ask(content=WORSE, reuse="near")
    assert shop.ask(content=WORSE).answer == "Answer 1."


def test_an_answer_that_is_gone_is_asked_anew_and_keeps_its_own_fingerprint(shop, first, told):
    analyses.delete(shop.desk, shop.key.account_id, first.id)
    again = shop.ask(content=WORSE, reuse="near")
    assert again.answer == "Answer 1."
    assert shop.look(shop.submit(WORSE)).answer == "Answer 1."


def test_two_pictures_together_are_asked_about(shop, first, told):
    files = [image.file_id for image in first.images]
    submission = analyses.Submission(images=[*files, *files], question="What is it?", reuse="near")
    made = analyses.submit(shop.desk, shop.key, submission, "req-2")
    assert shop.run(made.id).reused_distance is None


@pytest.mark.parametrize("given", ["far", 1, True])
def test_a_batch_takes_no_other_word_for_it(shop, given):
    items = Items(shop.desk, shop.key.account_id, {}, read_image)
    with pytest.raises(InvalidRequest, match="reuse"):
        items.read([(1, {"image": "file_x", "question": "?", "reuse": given})])
