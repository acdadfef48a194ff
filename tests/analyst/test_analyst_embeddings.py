"""Vectors that count words, or cells of a picture: the same are near, whoever asks and whenever."""

import base64
import io
import math

import openai
import pytest
import requests
from PIL import Image


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


def pictured(analyst, *contents, **options):
    parts = [{"type": "image_url", "image_url": {"url": data_url(content)}} for content in contents]
    body = {"model": "any", "messages": [{"role": "user", "content": parts}], **options}
    return requests.post(f"{analyst.base_url}/embeddings", json=body, timeout=20)


def drawn(color, size=400, **options):
    image = Image.new("RGB", (size, size), "white")
    image.paste(color, (size // 4, size // 4, size // 2, size // 2))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def data_url(content):
    return f"data:image/jpeg;base64,{base64.b64encode(content).decode()}"


def test_pictures_that_look_alike_are_near_and_others_are_not(analyst):
    contents = drawn("red"), drawn("red", 200, quality=40), drawn("blue")
    red, small, blue = (pictured(analyst, each).json()["data"][0]["embedding"] for each in contents)
    assert math.dist(red, small) < 0.05 < math.dist(red, blue)
    assert math.hypot(*red) == pytest.approx(1, abs=1e-6)
    assert pictured(analyst, drawn("red")).json()["data"][0]["embedding"] == red


def test_a_picture_takes_its_tokens(analyst):
    assert pictured(analyst, drawn("red")).json()["usage"]["prompt_tokens"] == 255


@pytest.mark.parametrize("contents", [[], [drawn("red"), drawn("blue")], [b"no image"]])
def test_messages_without_exactly_one_picture_are_a_bad_request(analyst, contents):
    assert pictured(analyst, *contents).status_code == 400
