"""Vectors that count words: the same words are near, whoever asks and whenever."""

import math

import openai
import pytest


def embedded(analyst, given, **options):
    answer = analyst.client.embeddings.create(model="any", input=given, **options)
    return [row.embedding for row in answer.data]


def test_texts_with_the_same_words_are_near_and_others_are_not(analyst):
    mug, mug_too, boots = embedded(analyst, ["a red mug", "A mug, red!", "winter boots of leather"])
    assert math.dist(mug, mug_too) < 1e-6 < math.dist(mug, boots)
    assert math.hypot(*boots) == pytest.approx(1, abs=1e-6)


def test_base64_and_numbers_say_the_same(analyst):
    [numbers] = embedded(analyst, "a red mug", encoding_format="float", dimensions=16)
    [decoded] = embedded(analyst, "a red mug", dimensions=16)
    assert len(numbers) == 16
    assert numbers == pytest.approx(decoded, abs=1e-6)


def test_every_call_is_in_the_ledger_with_its_tokens(analyst):
    analyst.reset()
    used = analyst.client.embeddings.create(model="any", input=[[1, 2, 3], [4]]).usage
    [call] = analyst.ledger()["calls"]
    assert (call["status"], call["prompt_tokens"], used.total_tokens) == (200, 4, 4)


@pytest.mark.parametrize(
    ("given", "options"), [([], {}), ("", {}), (["x"] * 2_049, {}), ([1.5], {}), ("x", {"dimensions": 0})]
)
def test_what_cannot_be_embedded_is_a_bad_request(analyst, given, options):
    with pytest.raises(openai.BadRequestError):
        embedded(analyst, given, **options)
