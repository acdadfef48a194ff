"""A real analyst process, shared by the tests of this folder and reset before each."""

import base64
import io
from typing import Any

import pytest
import requests
from endpoint import Analyst
from PIL import Image, ImageDraw


class Client(Analyst):
    """The analyst with short forms of asking."""

    def ask(self, *parts: Any, **options: Any) -> requests.Response:
        return self.post(body(*parts, **options))


def body(*parts: Any, **options: Any) -> dict[str, Any]:
    """Make a request of texts (str) and images (bytes)."""
    content = [part_of(part) for part in parts]
    return {"model": "pixel-analyst", "messages": [{"role": "user", "content": content}], **options}


def part_of(part: Any) -> dict[str, Any]:
    if isinstance(part, dict):
        return part
    if isinstance(part, str):
        return {"type": "text", "text": part}
    url = f"data:image/png;base64,{base64.b64encode(part).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


def square_on(ground: str, subject: str, size: tuple[int, int] = (400, 300)) -> bytes:
    """Draw a square (100..200, 50..150) on a plain ground, as PNG."""
    image = Image.new("RGB", size, ground)
    ImageDraw.Draw(image).rectangle((100, 50, 199, 149), subject)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def running():
    started = Client("--keep-images")
    yield started
    started.stop()


@pytest.fixture
def analyst(running):
    running.reset()
    return running


@pytest.fixture
def start():
    """Start further analysts with flags of one's own."""
    started = []

    def _start(*flags: str) -> Client:
        started.append(Client(*flags))
        return started[-1]

    yield _start
    for one in started:
        if one.process.returncode is None:
            one.stop()


@pytest.fixture(name="body")
def body_maker():
    return body


@pytest.fixture(name="square")
def red_square():
    return square_on("white", "#d7262b")


@pytest.fixture(name="square_on")
def square_maker():
    return square_on
